"""A parameter whose `.data` was replaced by another shape or type between forward and backward."""

from __future__ import annotations

import ast
from typing import Any

from graphlab.language import message
from graphlab.observe.failures.call import Diagnosis, FailedCall
from graphlab.observe.graph.engine import in_order, metadata
from graphlab.observe.graph.walk import leaf_of, sequence
from graphlab.observe.notes import Cut, CutAt, RawWrite
from graphlab.observe.tensors import describe, dtype_of, kind_of, shape_of, storage_key
from graphlab.source.effects.stores import stores
from graphlab.source.places import locate
from graphlab.trace.model import FailedNode, Location


def replaced_data(call: FailedCall) -> Diagnosis | None:
    """The first leaf, in the order of the engine, that no longer looks as the graph was built for;
    None if all do."""
    for node in in_order(call.nodes):
        leaf = leaf_of(node)
        built = metadata(node, 0) if leaf is not None else None
        if built is None or (built.shape, built.dtype) == (shape_of(leaf), dtype_of(leaf)):
            continue
        known = call.names.of_tensor(leaf)
        name = known[1].name if known is not None else ""
        kind = known[1].kind if known is not None else kind_of(leaf)
        then, now = list(built.shape), list(shape_of(leaf))
        if then == now:
            then, now = built.dtype, dtype_of(leaf)
        why = message("observed.failed.data_replaced", then=str(then), now=str(now))
        found = FailedNode("", None, function=name or message("observed.failed.a_leaf"), why=why)
        cut = _seen(call, leaf, node) if call.log is not None else _only(call, name)
        return Diagnosis("failed", found, describe(leaf, name or None, kind), cut)
    return None


def _seen(call: FailedCall, leaf: Any, node: Any) -> Cut | None:
    """The last assignment of its `.data` since it was used."""
    assert call.log is not None
    used = [
        sequence(each)
        for each in call.nodes
        if any(child is node for child, _ in each.next_functions)
    ]
    key = storage_key(leaf)
    for event in reversed(call.log.events):
        if not isinstance(event, RawWrite) or not event.silent or event.seq <= min(used, default=0):
            continue
        if event.by.startswith(".data") and event.spot and any(t[0] == key for t in event.tensors):
            return _cut(locate(*event.spot))
    return None


def _only(call: FailedCall, name: str) -> Cut | None:
    """Without a log: the one statement that assigns the `.data` of what has its name."""
    last = name.rsplit(".", 1)[-1]
    found = [
        each.at
        for file in call.user_files()
        for each in stores(file)
        if isinstance(each.target, ast.Attribute)
        and each.target.attr == "data"
        and isinstance(each.target.value, ast.Name | ast.Attribute)
    ]
    mine = [each for each in found if f"{last}.data" in each.code]
    return _cut(mine[0]) if name and len(mine) == 1 and len(found) == len(mine) else None


def _cut(at: Location) -> Cut:
    return CutAt(at, at.code if len(at.code) < 60 else at.code[:57] + "…")
