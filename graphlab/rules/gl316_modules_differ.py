"""DistributedDataParallel was given modules whose parameters are not the same on all ranks."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place, Versions
from graphlab.trace.model import TensorInfo, Trace
from graphlab.trace.ranks.models import ModulesDiffer


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, ModulesDiffer):
            continue
        more = each.count - 1
        yield Finding(
            *RULE.label,
            summary=message(
                "ranks.gl316.summary",
                name=each.name,
                more=message("ranks.gl316.more", count=more) if more else "",
                differs=[*each.differs],
                call=each.call,
            ),
            tensor=Versions(TensorInfo(each.name, "parameter", (), ""), None, None),
            cause=Place(each.froze, each.froze_by) if each.froze is not None else None,
            failed=Place(each.at, each.call),
            help=(Help(message(f"ranks.gl316.{'frozen_' if each.ranks else ''}help")),),
            ranks=tuple(range(len(each.differs))),
        )


RULE = Rule("GL316", "modules-differ", "error", check)
