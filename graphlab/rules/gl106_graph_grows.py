"""The graph of a loss or of a kept tensor grew with every iteration."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.graph.growing import cut_each_turn, detached_as_kept, given_detached
from graphlab.rules.repair.left_over import detach_kept
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place, Versions
from graphlab.trace.model import Growing, TensorInfo, Trace


def check(trace: Trace) -> Iterator[Finding]:
    told = set()
    for each in trace.growing:
        # Each of several backwards in one turn finds the same list.
        kept = None if each.behind_loss else (each.name, each.kept_at)
        if kept in told:
            continue
        told |= {kept} - {None}
        sizes = " → ".join(str(size) for size in each.sizes)
        yield Finding(
            *RULE.label,
            summary=message(
                f"training.gl106.{'behind_loss' if each.behind_loss else 'kept'}",
                call=each.call,
                name=each.name,
                sizes=sizes,
            ),
            iteration=each.iteration,
            tensor=Versions(TensorInfo(each.name, "activation", (), ""), None, None),
            failed=Place(each.at, each.call) if each.behind_loss else None,
            cause=Place(each.kept_at, message("training.gl106.kept_here", name=each.name))
            if each.kept_at is not None
            else None,
            help=(_help(trace, each),),
            others=(
                *cut_each_turn(trace, each.kept_at, each.name),
                *([found] if (found := _kept_detached(trace, each)) is not None else []),
                *detached_as_kept(trace, each.kept_at),
                *given_detached(trace, each.at, each.name),
            ),
        )


def _kept_detached(trace: Trace, each: Growing) -> Help | None:
    return detach_kept(trace, each.kept_at) if each.kept_at is not None else None


def _help(trace: Trace, each: Growing) -> Help:
    if each.kept_at is not None and not each.behind_loss:
        edit = detach_kept(trace, each.kept_at)
        if edit is not None:
            return edit
    return Help(message("training.gl106.help", name=each.name))


RULE = Rule("GL106", "graph-grows", "warning", check)
