"""The ranks compute with a frozen network of which each has its own."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.ranks.replicas import assigned_at, begins_alike
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.ranks.inputs import FrozenApart


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, FrozenApart):
            continue
        built = assigned_at(trace, each.name)
        repair = begins_alike(trace, built) if built is not None else None
        yield Finding(
            RULE.code,
            RULE.name,
            # One that stays as it was made may be meant, as another teacher for each rank.
            RULE.severity if each.moves else "info",
            summary=message(f"ranks.gl313.{'moves' if each.moves else 'summary'}", name=each.name),
            cause=Place(built or each.at, message("ranks.gl313.built", name=each.name)),
            failed=Place(each.at, message("ranks.gl313.used", name=each.name)),
            help=(repair or Help(message("ranks.gl313.help", name=each.name)),),
            ranks=each.ranks,
        )


RULE = Rule("GL313", "frozen-network-apart", "warning", check)
