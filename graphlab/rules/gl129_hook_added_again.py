"""A hook was added anew in each step to what keeps all of them."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.sightings import HookAgain


def check(trace: Trace) -> Iterator[Finding]:
    told: set[object] = set()
    for each in trace.sightings:
        # A line may add one to each of many parameters.
        if not isinstance(each, HookAgain) or each.at in told:
            continue
        told.add(each.at)
        yield Finding(
            *RULE.label,
            summary=message(
                "training.gl129.summary", call=each.call, name=each.name, count=each.times
            ),
            cause=Place(each.at, each.call),
            help=(Help(message("training.gl129.help", call=each.call)),),
        )


RULE = Rule("GL129", "hook-added-again", "warning", check)
