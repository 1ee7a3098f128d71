"""DistributedDataParallel met a second gradient of a parameter in one backward."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.text import listing
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.ranks.sightings import ReadyTwice


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, ReadyTwice):
            continue
        name = trace.tensors[each.tensor].name or "a parameter"
        lines = listing([str(place.line) for place in each.uses])
        word = "lines" if len(each.uses) > 1 else "line"
        why, help = _why(each, name, f"{word} {lines}")
        failure = trace.exception
        yield Finding(
            *RULE.label,
            summary=f"{each.call} gives {name} a gradient twice, and DistributedDataParallel takes "
            f"one: {why}",
            iteration=failure.iteration if failure is not None else None,
            tensor=unversioned(trace, each.tensor),
            saved=Place(each.uses[0], f"{name}'s first use") if len(each.uses) > 1 else None,
            cause=Place(each.uses[-1], f"{name}'s use") if each.uses else None,
            failed=Place(each.at, each.call),
            help=(Help(help),),
        )


def _why(each: ReadyTwice, name: str, lines: str) -> tuple[str, str]:
    if each.why == "outside":
        return (
            f"find_unused_parameters=True counted it as unused in {each.wrapper}, and {lines} uses "
            "it outside of that forward",
            f"Use {name} inside the wrapped module's forward, and return what is computed with it.",
        )
    if each.why == "hidden":
        return (
            f"find_unused_parameters=True counted it as unused in {each.wrapper}, as it does not "
            f"see into the reentrant checkpoint of {lines}, whose backward then reaches it",
            "Pass use_reentrant=False to checkpoint, or leave find_unused_parameters=True out.",
        )
    return (
        f"it is used in {lines}, and a reentrant checkpoint has a backward of its own for each use",
        "Pass use_reentrant=False to checkpoint, or static_graph=True to DistributedDataParallel.",
    )


RULE = Rule("GL306", "ready-twice", "error", check)
