"""A loss was computed in every iteration, and no backward ran through it."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.left_aside import left_aside
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.sightings import LossUnused


def check(trace: Trace) -> Iterator[Finding]:
    # GL110 tells of one without which parameters have no gradient.
    needed = [left_aside(trace, each) for each in trace.optimizers]
    for each in trace.sightings:
        if isinstance(each, LossUnused) and each not in needed:
            yield Finding(
                *RULE.label,
                summary=message("training.gl119.summary", name=each.name),
                cause=Place(each.at, each.name),
                help=(Help(message("training.gl119.help", name=each.name)),),
            )


RULE = Rule("GL119", "loss-never-used", "info", check)
