"""All ranks train on the same batches."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.ranks.inputs import SameBatches


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if isinstance(each, SameBatches):
            how = "loaded" if each.loader is not None else "drawn"
            yield Finding(
                *RULE.label,
                summary=message(
                    f"ranks.gl312.{'noise' if each.drawn else 'summary'}",
                    name=each.name,
                    count=each.count,
                ),
                cause=Place(each.loader or each.at, message(f"ranks.gl312.{how}")),
                failed=Place(each.at, message("ranks.gl312.forward", name=each.name)),
                help=(Help(message(f"ranks.gl312.{how}_help")),),
                ranks=each.ranks,
            )


RULE = Rule("GL312", "same-batches-on-every-rank", "info", check)
