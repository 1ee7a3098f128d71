"""Ranks took different ways, and some waited for others that never came."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.ranks.joint import ranks_in_words
from graphlab.trace.ranks.sightings import Parted


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, Parted):
            continue
        counts = ", ".join(each.counts)
        line = each.at.line if each.at is not None else 0
        waited = ", ".join(each.stops) or ranks_in_words(each.waiting)
        what = "the loop" if each.loop else each.operation
        verb = "ran its body" if each.loop else "was called"
        yield Finding(
            *RULE.label,
            summary=f"the ranks part ways: {what} in line {line} {verb} so many times on each "
            f"({counts}), and {waited} waited for others that did not come",
            cause=Place(each.at, what),
            failed=Place(each.failed, "waiting"),
            help=(
                Help(
                    "Give every rank as many batches (DistributedSampler, drop_last=True), or wrap "
                    "the loop in torch.distributed.algorithms.Join."
                    if each.loop
                    else "Let every rank make the same collective calls in the same order."
                ),
            ),
            ranks=each.waiting,
        )


RULE = Rule("GL304", "ranks-part-ways", "warning", check)
