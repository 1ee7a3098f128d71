"""A write under vmap put mapped values into a tensor that is not mapped."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.refusals import made_by, refused_operations
from graphlab.rules.repair.asked.statistics import without_statistics
from graphlab.rules.repair.calls import mapped_like_the_input
from graphlab.rules.repair.writes import write_out_of_place
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.functions.sightings import GivenUnfit
from graphlab.trace.model import Refused, Trace


def check(trace: Trace) -> Iterator[Finding]:
    yield from refused_operations(RULE, trace, "unmapped", _summary, _help, True, _apart)
    yield from refused_operations(
        RULE, trace, "statistics", _of_statistics, _without_them, True, _untracked
    )
    for each in trace.sightings:
        if isinstance(each, GivenUnfit) and each.why == "asked":
            yield _asked(each)


def _asked(each: GivenUnfit) -> Finding:
    return Finding(
        *RULE.label,
        summary=message("errors.gl014.asked", by=each.call, name=each.name),
        failed=Place(each.at, each.call),
        help=(Help(message("errors.gl014.help_asked")),),
    )


def _summary(event: Refused, name: str) -> str:
    made = message("errors.gl014.made", by=made_by(event)) if event.made is not None else ""
    return message("errors.gl014.summary", name=name, made=made, by=event.by)


def _help(trace: Trace, event: Refused, name: str) -> Iterator[Help]:
    yield Help(message("errors.gl014.help", name=name))


def _apart(trace: Trace, event: Refused) -> Iterator[Help]:
    yield from mapped_like_the_input(trace, event)
    if event.at is not None:
        why = message("errors.gl014.one_for_all")
        found = write_out_of_place(trace, event.at, event.by, why)
        if found is not None:
            yield found


def _of_statistics(event: Refused, name: str) -> str:
    return message("errors.gl014.statistics", name=name, by=event.by)


def _without_them(trace: Trace, event: Refused, name: str) -> Iterator[Help]:
    yield Help(message("errors.gl014.no_statistics"))


def _untracked(trace: Trace, event: Refused) -> Iterator[Help]:
    return without_statistics(trace, event.at)


RULE = Rule("GL014", "vmap-in-place", "error", check)
