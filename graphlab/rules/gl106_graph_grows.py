"""The graph of a loss or of a kept tensor grew with every iteration."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.graph.growing import (
    cut_each_turn,
    detached_after,
    detached_as_kept,
    given_detached,
)
from graphlab.rules.repair.left_over import detach_kept
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place, Versions
from graphlab.trace.model import Growing, Location, TensorInfo, Trace


def check(trace: Trace) -> Iterator[Finding]:
    for each, others in _together(trace):
        sizes = " → ".join(str(size) for size in each.sizes)
        yield Finding(
            *RULE.label,
            summary=message(
                f"training.gl106.{'behind_loss' if each.behind_loss else 'kept'}",
                call=each.call,
                name=each.name,
                more=_more(others),
                sizes=sizes,
            ),
            iteration=each.iteration,
            tensor=Versions(TensorInfo(each.name, "activation", (), ""), None, None),
            failed=Place(each.at, each.call) if each.behind_loss else None,
            cause=Place(each.kept_at, message("training.gl106.kept_here", name=each.name))
            if each.kept_at is not None
            else None,
            help=(_help(trace, each, others),),
            others=(
                *cut_each_turn(trace, each.kept_at, each.name),
                *([found] if (found := _kept_detached(trace, each)) is not None else []),
                *detached_as_kept(trace, each.kept_at),
                *given_detached(trace, each.at, each.name),
            ),
        )


def _together(trace: Trace) -> Iterator[tuple[Growing, list[str]]]:
    """Each graph that grew, with the names of the others that the same line keeps: the running
    statistics of every layer of a class, say."""
    told: dict[Location | str | int, tuple[Growing, list[str]]] = {}
    for at, each in enumerate(trace.growing):
        key = at if each.behind_loss else each.kept_at or each.name
        first, others = told.setdefault(key, (each, []))
        # Each of several backwards in one turn finds the same list.
        if each.name not in (first.name, *others):
            others.append(each.name)
    yield from told.values()


def _more(others: list[str]) -> str:
    return message("training.gl106.more", count=len(others)) if others else ""


def _kept_detached(trace: Trace, each: Growing) -> Help | None:
    return detach_kept(trace, each.kept_at) if each.kept_at is not None else None


def _help(trace: Trace, each: Growing, others: list[str]) -> Help:
    if each.kept_at is not None and not each.behind_loss:
        edit = detach_kept(trace, each.kept_at)
        if edit is None:
            edit = detached_after(trace, each.kept_at, [each.name, *others])
        if edit is not None:
            return edit
    return Help(message("training.gl106.help", name=each.name))


RULE = Rule("GL106", "graph-grows", "warning", check)
