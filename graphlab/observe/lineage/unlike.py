"""Finds the statement that cut a value off in an unknown way: by its source it had a graph, and the
value that it gave has none."""

from __future__ import annotations

import ast
from typing import Any, Protocol

from graphlab.observe.lineage.trail import HAS_GRAPH, Result, Trail
from graphlab.observe.notes import Cut
from graphlab.observe.tensors import is_tensor, requires_grad
from graphlab.source.places import nodes_of


class Lineage(Protocol):
    """What is read of a function (reader.py)."""

    scope: ast.AST | None
    now: int
    trail: Trail

    def assignments(self, name: str, before: int) -> list[ast.stmt]: ...

    def reach(self, node: ast.AST) -> Any: ...

    def cut(self, node: ast.AST, by: str) -> Cut: ...


def unlike(read: Lineage, name: str, statement: ast.stmt) -> Result:
    """HAS_GRAPH, unless the present value of `name` has none and is of this statement."""
    value = read.reach(ast.parse(name, mode="eval").body)
    last = not any(s.lineno > statement.lineno for s in read.assignments(name, read.now))
    if last and is_tensor(value) and not requires_grad(value) and read.trail.grad_enabled:
        return _cut(read, statement)
    return HAS_GRAPH


def unlike_holder(
    read: Lineage, found: Result, known: Any, holder: ast.expr, before: int
) -> Result:
    """`found`, unless that is HAS_GRAPH of a holder, ``out`` of ``out.loss``, and the tensor,
    `known`, has none."""
    if found is not HAS_GRAPH or not is_tensor(known) or not read.trail.grad_enabled:
        return found
    made = read.assignments(ast.unparse(holder), before)
    return _cut(read, max(made, key=lambda each: each.lineno)) if made else None


def _cut(read: Lineage, statement: ast.stmt) -> Cut:
    """The statement; or the block around it that a method of the called object itself begins, as
    ``with model.disable_adapter():`` does."""
    called = {ast.unparse(each.func) for each in ast.walk(statement) if isinstance(each, ast.Call)}
    for block in nodes_of(read.scope):
        if not isinstance(block, ast.With):
            continue
        inside = block.lineno <= statement.lineno <= (block.end_lineno or 0)
        for item in block.items if inside else ():
            func = item.context_expr.func if isinstance(item.context_expr, ast.Call) else None
            if isinstance(func, ast.Attribute) and ast.unparse(func.value) in called:
                return read.cut(item.context_expr, ast.unparse(item.context_expr))
    return read.cut(statement, ast.unparse(statement))
