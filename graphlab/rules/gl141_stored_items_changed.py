"""A data set changes what it stores each time it hands out an item."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.copies import clone_read
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.module_sightings import StoredChanged


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, StoredChanged):
            continue
        edit = clone_read(trace, each.within, each.name) if each.within is not None else None
        yield Finding(
            *RULE.label,
            summary=message("training.gl141.summary", name=each.name, owner=each.owner),
            cause=Place(each.at, message("training.gl141.here")) if each.at is not None else None,
            help=(edit or Help(message("training.gl141.help")),),
        )


RULE = Rule("GL141", "stored-items-changed", "warning", check)
