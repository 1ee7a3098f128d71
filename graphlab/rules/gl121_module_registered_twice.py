"""One module stands several times in a container that looks like several modules."""

from __future__ import annotations

from collections.abc import Iterator

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
            summary=f"{each.container} holds one {each.kind} {each.times} times, not {each.times} "
            "of them: all of these share their parameters",
            tensor=unversioned(trace, each.tensor) if each.tensor is not None else None,
            cause=Place(each.at, "repeated here") if each.at is not None else None,
            help=(
                Help(
                    "Build one for each place, [make() for _ in range(n)], or deep copies. Where "
                    "the weights are shared on purpose, all is well."
                ),
            ),
            measured={"times": float(each.times)},
        )


RULE = Rule("GL121", "module-registered-twice", "info", check)
