"""The ranks shuffle the samples that they share out by numbers of their own."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.ranks.samplers import one_order
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.ranks.inputs import OrdersApart


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if isinstance(each, OrdersApart):
            yield Finding(
                *RULE.label,
                summary=message(f"ranks.gl318.{each.by}", numbers=list(each.numbers)),
                cause=Place(each.at, "DistributedSampler"),
                failed=Place(each.loop, message("ranks.gl311.loop")),
                help=(one_order(trace, each) or Help(message(f"ranks.gl318.{each.by}_help")),),
                ranks=each.ranks,
            )


RULE = Rule("GL318", "parts-of-other-orders", "warning", check)
