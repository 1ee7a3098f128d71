"""A sharded parameter was used outside the forward that gathers it."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.ranks.options import registered_forwards
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place, Versions
from graphlab.trace.model import TensorInfo, Trace
from graphlab.trace.ranks.sightings import DTENSOR, FULLY_SHARD, PastTheWrapper


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, PastTheWrapper):
            continue
        name = each.tensor or message("words.a_parameter")
        failure = trace.exception
        help = "fully_shard_help" if each.kind == FULLY_SHARD else "help"
        key = "called" if each.called else "summary"
        if each.kind == DTENSOR:
            key, help = ("mixed_by" if each.called else "mixed"), "mixed_help"
        whole = each.kind == FULLY_SHARD and each.called
        repair = registered_forwards(trace, each.called, each.cause) if whole else None
        yield Finding(
            *RULE.label,
            summary=message(
                f"ranks.gl307.{key}",
                name=name,
                kind=each.kind,
                called=each.called,
            ),
            iteration=failure.iteration if failure is not None else None,
            tensor=Versions(TensorInfo(name, "parameter", (), ""), None, None),
            cause=Place(each.cause, each.called or name),
            failed=Place(each.at, name),
            help=(repair or Help(message(f"ranks.gl307.{help}")),),
        )


RULE = Rule("GL307", "past-the-wrapper", "error", check)
