"""Tells the branches of a function that flags of the program's keep from running."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from graphlab.source.effects.assignments import assignments_in, stores_in
from graphlab.source.evaluate import evaluate
from graphlab.source.objects import LOST
from graphlab.source.places import nodes_of


def assignments_run(
    scope: ast.AST | None, name: str, before: int, values: Callable[[str], Any]
) -> list[ast.stmt]:
    """As `assignments_in`, without what stands last and is in a branch that does not run."""
    found = assignments_in(scope, name, before)
    while found and isinstance(found[-1], ast.Assign) and _is_left_out(found[-1], scope, values):
        earlier = assignments_in(scope, name, found[-1].lineno)
        if not earlier:
            break
        found = [*found[:-1], *earlier]
    return found


def _is_left_out(statement: ast.stmt, scope: ast.AST | None, values: Callable[[str], Any]) -> bool:
    for each in nodes_of(scope):
        if not isinstance(each, ast.If):
            continue
        for wanted, branch in ((True, each.body), (False, each.orelse)):
            if any(one.lineno <= statement.lineno <= (one.end_lineno or 0) for one in branch):
                flag = _flag(each.test, scope, values)
                if flag is not LOST and flag is not wanted:
                    return True
    return False


def _flag(node: ast.expr, scope: ast.AST | None, values: Callable[[str], Any]) -> Any:
    """The value of a flag that the function does not set, ``not`` one, or several: True, False or
    LOST. What counts, or is None at first, may have been otherwise when the test was made."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = _flag(node.operand, scope, values)
        return inner if inner is LOST else not inner
    if isinstance(node, ast.BoolOp):
        found = [_flag(each, scope, values) for each in node.values]
        decides = isinstance(node.op, ast.Or)
        if decides in found:
            return decides
        return LOST if LOST in found else not decides
    if isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node) not in stores_in(scope):
        value = evaluate(node, values)
        return value if type(value) is bool else LOST
    return LOST
