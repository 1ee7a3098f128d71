"""Describes the node at which a backward failed, as plain data."""

from __future__ import annotations

from typing import Any

from graphlab.observe.failures.call import FailedCall
from graphlab.observe.graph.engine import inputs_of
from graphlab.observe.graph.walk import leaf_of, operation, slots
from graphlab.observe.tensors import describe, dtype_of, kind_of, shape_of
from graphlab.trace.model import FailedNode, TensorInfo

# At most so many operands are told.
_MOST = 6


def failed_node(call: FailedCall, function: str = "", why: str = "") -> FailedNode | None:
    """The node of `call`, as far as its possible nodes agree; None where nothing is known."""
    nodes = call.possible
    operations = {operation(each) for each in nodes}
    if len(operations) != 1 or (len(nodes) > 1 and not function and call.keeps is False):
        if call.raised_at is None and not call.package:
            return None
        return FailedNode(
            "", None, raised_at=call.raised_at, function=function, why=why, package=call.package
        )
    lines = {call.forward(each) for each in nodes}
    modules = {call.module(each) for each in nodes}
    return FailedNode(
        operation=operations.pop(),
        at=lines.pop() if len(lines) == 1 else None,
        module=modules.pop() if len(modules) == 1 else None,
        operands=operands(call, nodes[0]) if len(nodes) == 1 else (),
        raised_at=call.raised_at,
        function=function,
        why=why,
        package=call.package,
    )


def operands(call: FailedCall, node: Any) -> tuple[TensorInfo, ...]:
    """What the operation behind `node` computed with: its inputs that need gradients, and what it
    saved besides."""
    found: list[TensorInfo] = []
    for (child, _), each in zip(node.next_functions, inputs_of(node), strict=True):
        leaf = leaf_of(child) if child is not None else None
        if leaf is not None:
            known = call.names.of_tensor(leaf)
            named = known[1] if known is not None else None
            name, kind = (named.name, named.kind) if named else (None, kind_of(leaf))
            found.append(describe(leaf, name or None, kind))
        elif each is not None:
            found.append(TensorInfo(None, "activation", each.shape, each.dtype))
    seen = {(each.shape, each.dtype) for each in found}
    for slot in slots(node):
        if slot.data is None or (shape_of(slot.data), dtype_of(slot.data)) in seen:
            continue
        seen.add((shape_of(slot.data), dtype_of(slot.data)))
        known = call.names.of_tensor(slot.data)
        name = known[1].name if known is not None else None
        kind = known[1].kind if known is not None else kind_of(slot.data)
        found.append(describe(slot.data, name or None, kind))
    return tuple(found[:_MOST])
