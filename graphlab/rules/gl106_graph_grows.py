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
    told: dict[Location | None, dict[str, Growing]] = {}
    for each in trace.growing:
        if not each.behind_loss:
            # Each of several backwards in one turn finds the same list.
            told.setdefault(each.kept_at, {}).setdefault(each.name, each)
    for each in trace.growing:
        if each.behind_loss:
            yield each, []
            continue
        kept = told.get(each.kept_at, {})
        if kept.get(each.name) is not each:
            continue
        if each.kept_at is None:
            yield each, []
        elif next(iter(kept)) == each.name:
            yield each, [name for name in kept if name != each.name]


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
