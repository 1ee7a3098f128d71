"""A moving average of a network follows its weights, and not the statistics of its norm layers."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.module_sightings import StatisticsLeft


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if isinstance(each, StatisticsLeft):
            names = {"name": each.name, "leader": each.leader}
            yield Finding(
                *RULE.label,
                summary=message("training.gl126.summary", layers=list(each.layers), **names),
                cause=Place(each.at, message("training.gl126.update")) if each.at else None,
                help=(Help(message("training.gl126.help", **names)),),
            )


RULE = Rule("GL126", "statistics-left-behind", "warning", check)
