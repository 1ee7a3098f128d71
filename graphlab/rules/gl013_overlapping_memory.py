"""A tensor whose elements share memory was written in place."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.refusals import refused_operations
from graphlab.rules.repair.operations import clone_expanded
from graphlab.rules.repair.reordered import copy_before_write
from graphlab.rules.repair.writes import write_out_of_place
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help
from graphlab.trace.model import Refused, Trace


def check(trace: Trace) -> Iterator[Finding]:
    yield from refused_operations(RULE, trace, "overlap", _summary, _help, True, _apart)


def _summary(event: Refused, name: str) -> str:
    line = message("words.since_line", line=event.made.line) if event.made is not None else ""
    return message("errors.gl013.summary", name=name, line=line, by=event.by)


def _help(trace: Trace, event: Refused, name: str) -> Iterator[Help]:
    edit = clone_expanded(trace, event.made) if event.made is not None else None
    yield edit or Help(message("errors.gl013.help", name=name))


def _apart(trace: Trace, event: Refused) -> Iterator[Help]:
    if event.at is not None:
        why = message("errors.gl013.share_memory")
        found = write_out_of_place(trace, event.at, event.by, why)
        if found is not None:
            yield found
        yield from copy_before_write(trace, event.at)


RULE = Rule("GL013", "overlapping-memory", "error", check)
