"""A sampler of each rank's part is never told the epoch, and shuffles always alike."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.ranks.inputs import SameOrder


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if isinstance(each, SameOrder):
            yield Finding(
                *RULE.label,
                summary=message("ranks.gl311.summary", count=each.passes, epoch=each.epoch),
                cause=Place(each.at, "DistributedSampler"),
                failed=Place(each.loop, message("ranks.gl311.loop")),
                help=(Help(message("ranks.gl311.help")),),
            )


RULE = Rule("GL311", "same-order-every-epoch", "info", check)
