"""Finds the statement that cut a value off in an unknown way: by its source it had a graph, and the
value that it gave has none."""

from __future__ import annotations

import ast
from typing import Any, Protocol

from graphlab.observe.lineage.callee import entered, of_library
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
    """HAS_GRAPH, unless the present value of `name` has none and is of this statement, or what that
    has recorded does not lead to the loss."""
    value = read.reach(ast.parse(name, mode="eval").body)
    last = not any(s.lineno > statement.lineno for s in read.assignments(name, read.now))
    if last and is_tensor(value) and not requires_grad(value) and read.trail.grad_enabled:
        return _cut(read, statement)
    return _let_go(read, statement) or HAS_GRAPH


def let_go_later(read: Lineage, found: Result, statement: ast.stmt) -> Result:
    """`found`, unless that is a line that leads nowhere, and this one, which takes what that gave,
    does no more."""
    told = any(found is each for each in read.trail.told)
    return (_let_go(read, statement) if told else None) or found


def _let_go(read: Lineage, statement: ast.stmt) -> Cut | None:
    """A statement that calls a library's function and made no node that leads to the loss, as one
    that gives indices: known of a function that has returned, for the loss of the backward."""
    lead = read.trail.lead.get(id(read.scope))
    call = getattr(statement, "value", None)
    if not lead or not isinstance(call, ast.Call):
        return None
    lines = range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)
    code = getattr(entered(read.reach(call.func))[1], "__code__", None)
    if not of_library(code) or not lead.isdisjoint(lines):
        return None
    read.trail.told.append(cut := _cut(read, statement))
    return cut


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
