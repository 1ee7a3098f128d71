"""Each rank writes to a buffer or a running statistic from its own data; nothing averages it."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.ranks.statistics import over_all_ranks
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place, Versions
from graphlab.trace.model import TensorInfo, Trace
from graphlab.trace.ranks.sightings import BuffersApart


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, BuffersApart):
            continue
        more = message("ranks.gl309.more", count=each.more) if each.more else ""
        told = "ranks.gl309.kept" if each.kept else "ranks.gl309.summary"
        yield Finding(
            RULE.code,
            RULE.name,
            # To leave the broadcast off is the way out of what GL001 and GL105 tell of there.
            "info" if each.several else RULE.severity,
            summary=message(told, name=each.name, more=more, by=each.by),
            tensor=Versions(TensorInfo(each.name, "activation", (), ""), None, None),
            cause=Place(each.cause, each.by),
            failed=Place(each.used, message("ranks.gl309.used")),
            help=(*over_all_ranks(trace, each.cause),) or (Help(message("ranks.gl309.help")),),
        )


RULE = Rule("GL309", "buffers-apart", "warning", check)
