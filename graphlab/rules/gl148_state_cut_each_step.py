"""A recurrent module's state is detached at each step: nothing is learned over time."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.trained.states import carried
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.module_sightings import StatesCut


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if isinstance(each, StatesCut):
            names = {"state": each.state, "name": each.name}
            edit = carried(trace, each)
            yield Finding(
                *RULE.label,
                summary=message("training.gl148.summary", **names),
                cause=Place(each.at, message("training.gl148.here")) if each.at else None,
                help=(edit or Help(message("training.gl148.help", **names)),),
            )


RULE = Rule("GL148", "state-cut-each-step", "warning", check)
