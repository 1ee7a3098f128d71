"""A batch norm takes its statistics over a few samples of each rank alone."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.ranks.sightings import DDP, NormOverPart


def check(trace: Trace) -> Iterator[Finding]:
    found = [each for each in trace.sightings if isinstance(each, NormOverPart)]
    if not found:
        return
    first = found[0]
    others = len(found) - 1
    yield Finding(
        *RULE.label,
        summary=message(
            "ranks.gl310.summary",
            name=first.module,
            more=message("ranks.gl310.more", count=others) if others else "",
            count=first.samples,
        ),
        cause=Place(first.at, message("ranks.gl310.norm", name=first.module)),
        failed=Place(first.built, DDP),
        help=(Help(message("ranks.gl310.help")),),
    )


RULE = Rule("GL310", "norm-over-part", "info", check)
