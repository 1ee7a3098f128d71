"""Finds the attribute of an object whose values a statement writes in place."""

from __future__ import annotations

import ast


def attribute_written(statement: ast.stmt) -> ast.Attribute | None:
    """``m.weight`` of ``m.weight.data.normal_(0, 1)``, or of ``init.normal_(m.weight)``."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return None
    if not call.func.attr.endswith("_"):
        return None
    for node in (call.func.value, *call.args[:1]):
        inner = _without_data(node)
        if not isinstance(inner, ast.Attribute):
            continue
        held = isinstance(inner.value, ast.Name | ast.Attribute)
        if held and ast.unparse(inner.value) not in ("nn", "torch.nn", "torch"):
            return inner
    return None


def _without_data(node: ast.expr) -> ast.expr:
    while True:
        if isinstance(node, ast.Attribute) and node.attr == "data":
            node = node.value
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "detach"
        ):
            node = node.func.value
        else:
            return node
