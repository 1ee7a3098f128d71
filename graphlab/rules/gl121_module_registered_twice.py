"""One module stands several times in a container that looks like several modules."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.module_sightings import Repeated


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, Repeated):
            continue
        yield Finding(
            *RULE.label,
            summary=message(
                "training.gl121.summary",
                container=each.container,
                kind=each.kind,
                times=each.times,
            ),
            tensor=unversioned(trace, each.tensor) if each.tensor is not None else None,
            cause=Place(each.at, message("training.gl121.repeated_here"))
            if each.at is not None
            else None,
            help=(Help(message("training.gl121.help")),),
            measured={"times": float(each.times)},
        )


RULE = Rule("GL121", "module-registered-twice", "info", check)
