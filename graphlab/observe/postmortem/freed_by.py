"""Infers from the user's source which backward call most likely freed a graph.

It is the call whose loss still leads to the freed nodes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from graphlab.language import message
from graphlab.observe.graph.walk import grad_edge, walk
from graphlab.observe.lineage.values import Values
from graphlab.observe.tensors import grad_fn_of, is_tensor
from graphlab.source.objects import LOST
from graphlab.source.statements import Statement, keeps_graph
from graphlab.trace.model import Location


class FreeingCall(NamedTuple):
    """A backward call, and those of the freed nodes that it is known to have run through."""

    statement: Statement
    why: str
    nodes: frozenset[Any]


def freeing_call(
    freed: Iterable[Any],
    roots: list[Any],
    source: list[Statement],
    values: Values,
    failed: Location | None,
    limit: int,
) -> FreeingCall | None:
    """The one call that can have freed `freed`, the nodes behind `roots` whose saved tensors are
    gone; the failed call itself may have freed some of them. None if several can."""
    gone = frozenset(freed)
    sharing: list[FreeingCall] = []
    again: list[FreeingCall] = []
    unknown = 0
    mine: Statement | None = None
    for each in source:
        if each.kind != "backward" or keeps_graph(each.node) is True:
            continue
        if failed is not None and (each.at.file, each.at.line) == (failed.file, failed.line):
            mine = each
            continue
        loss = values.of(each.target, each.scope)
        if any(loss is root for root in roots):
            again.append(FreeingCall(each, message("observed.inferred.same_loss"), gone))
        elif loss is LOST:
            unknown += 1
        elif is_tensor(loss) and grad_fn_of(loss) is not None:
            shared = gone.intersection(walk([grad_edge(loss)], limit))
            if shared:
                sharing.append(FreeingCall(each, message("observed.inferred.same_nodes"), shared))
    if sharing or again:
        found = sharing or again
        return found[0] if len(found) == 1 else None
    if mine is not None and not unknown:
        return FreeingCall(mine, message("observed.inferred.iteration_earlier"), frozenset())
    return None
