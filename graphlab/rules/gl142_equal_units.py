"""A layer was given one constant as all of its weights: its units stay the same, as one unit."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.anew.constants import drawn_instead
from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.rules.words import several_parameters
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.module_sightings import EqualUnits


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if isinstance(each, EqualUnits):
            names = several_parameters(trace, each.tensors)
            key = "zeros" if each.zeros else "summary"
            yield Finding(
                *RULE.label,
                summary=message(f"training.gl142.{key}", names=names, units=each.units),
                tensor=unversioned(trace, each.tensors[0]),
                cause=Place(each.at, message("training.gl142.here")) if each.at else None,
                help=(drawn_instead(trace, each) or Help(message("training.gl142.help")),),
            )


RULE = Rule("GL142", "equal-units", "warning", check)
