"""Finds, in a statement, the difference of a straight-through estimator, ``x + (q - x)``."""

from __future__ import annotations

import ast
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Straight:
    """``given - kept``, as written."""

    difference: ast.BinOp
    kept: str
    given: str


def straight_in(statement: ast.AST) -> Straight | None:
    """The difference of which a part is added as well; or else the only one that the statement has.
    None if there are more of them."""
    found = [each for each in ast.walk(statement) if _is(each, ast.Sub)]
    whole = [
        each
        for add in ast.walk(statement)
        if isinstance(add, ast.BinOp) and isinstance(add.op, ast.Add)
        for each, other in ((add.left, add.right), (add.right, add.left))
        if isinstance(each, ast.BinOp)
        and isinstance(each.op, ast.Sub)
        and ast.unparse(each.right) == ast.unparse(other)
    ]
    told = whole or found
    if len(told) != 1 or not isinstance(told[0], ast.BinOp):
        return None
    return Straight(told[0], ast.unparse(told[0].right), ast.unparse(told[0].left))


def _is(node: ast.AST, operator: type[ast.operator]) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, operator)
