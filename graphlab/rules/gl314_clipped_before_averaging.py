"""Each rank clipped its own gradients, and the ranks averaged them after that."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.ranks.averages import clipped_after
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.ranks.updates import ClippedApart


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, ClippedApart):
            continue
        part = each.part
        words = {"clip": part.clipped_by, "average": part.averaged_by, "factors": [*each.factors]}
        repair = clipped_after(trace, part.clipped, part.averaged, part.at)
        yield Finding(
            *RULE.label,
            summary=message("ranks.gl314.summary", **words),
            iteration=part.iteration,
            cause=Place(part.clipped, part.clipped_by),
            failed=Place(part.averaged, part.averaged_by),
            help=(repair or Help(message("ranks.gl314.help", **words)),),
            ranks=each.ranks,
        )


RULE = Rule("GL314", "clipped-before-averaging", "warning", check)
