"""A loss was computed in every iteration, and no backward ran through it."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.sightings import LossUnused


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if isinstance(each, LossUnused):
            yield Finding(
                *RULE.label,
                summary=f"{each.name} is computed again and again, and no backward runs through it",
                cause=Place(each.at, each.name),
                help=(
                    Help(
                        f"Add {each.name} to a loss that is back-propagated; or compute it under "
                        "torch.no_grad(), if it is only logged."
                    ),
                ),
            )


RULE = Rule("GL119", "loss-never-used", "info", check)
