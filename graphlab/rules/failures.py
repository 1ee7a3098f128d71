"""Findings of GL008, GL010 and GL011: a backward failed as it ran, for a reason that is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from graphlab.language import message
from graphlab.rules.rule import Rule
from graphlab.rules.words import inferred
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Backward, FailedNode, Trace
from graphlab.trace.ranks.sightings import ReadyTwice, Unfinished


def refused_by_wrapper(trace: Trace, event: Backward) -> bool:
    """Whether DistributedDataParallel has refused this backward, which GL305 and GL306 explain."""
    return any(
        isinstance(each, ReadyTwice | Unfinished) and each.at == event.at
        for each in trace.sightings
    )


def failed_backwards(
    rule: Rule,
    trace: Trace,
    trouble: str,
    summary: str,
    help: str,
    repair: Callable[[Trace, Backward], Help | None],
    others: Callable[[Trace, Backward], Iterable[Help]] = lambda trace, event: (),
) -> Iterator[Finding]:
    """One finding for each line whose backward failed for `trouble`.

    `summary` and `help` are keys of texts; `help` is used if `repair` finds nothing. `{call}`,
    `{function}` and `{why}` are filled in.
    """
    told = set()
    for event in trace.events:
        if not isinstance(event, Backward) or event.trouble != trouble or event.at in told:
            continue
        if refused_by_wrapper(trace, event):
            continue
        told.add(event.at)
        node = event.node or FailedNode("", None)
        called = node.function or node.operation or message("errors.failed.an_operation")
        known = node.at is not None and node.operation
        yield Finding(
            *rule.label,
            summary=message(summary, call=event.call, function=called, why=node.why),
            iteration=event.iteration,
            saved=Place(node.at, node.operation, node.module) if known else None,
            failed=Place(event.at, event.call),
            cause=Place(event.cut, event.cut_by) if event.cut is not None else None,
            help=(repair(trace, event) or Help(message(help)),),
            notes=(inferred(event.inferred),) if event.inferred else (),
            others=tuple(others(trace, event)),
        )
