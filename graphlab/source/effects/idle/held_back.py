"""Finds the step() that stands behind a backward in its loop, and in how many turns it comes."""

from __future__ import annotations

import ast

from graphlab.source.places import place
from graphlab.trace.values import Location


def step_behind(file: str, source: str, optimizer: str, line: int) -> tuple[Location, int] | None:
    """The one ``optimizer.step()`` in the body of the innermost loop around the backward at this
    line, and the number of turns after which its condition comes true: 1 if there is none. None
    where that is not plain, as where a turn may end before it."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    loops = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.For | ast.While) and node.lineno < line <= (node.end_lineno or 0)
    ]
    if not loops:
        return None
    loop = loops[-1]
    inside = [each for statement in loop.body for each in ast.walk(statement)]
    steps = [
        each
        for each in inside
        if isinstance(each, ast.Expr) and ast.unparse(each) == f"{optimizer}.step()"
    ]
    leaves = (ast.Continue, ast.Break, ast.Return, ast.FunctionDef, ast.Try)
    if len(steps) != 1 or any(isinstance(each, leaves) for each in inside):
        return None
    (step,) = steps
    if step.lineno <= line:
        return None
    turns = 1
    for each in inside:
        if isinstance(each, ast.If) and any(step is one for one in ast.walk(each)):
            counted = _turns(each.test) if step in each.body else None
            if counted is None:
                return None
            turns = max(turns, counted)
        elif isinstance(each, ast.For | ast.While) and any(step is one for one in ast.walk(each)):
            return None
    return place(step, file, source=source), turns


def _turns(test: ast.expr) -> int | None:
    """4 of ``(i + 1) % 4 == 0``."""
    left = test.left if isinstance(test, ast.Compare) else None
    if not isinstance(left, ast.BinOp) or not isinstance(left.op, ast.Mod):
        return None
    by = left.right.value if isinstance(left.right, ast.Constant) else None
    return by if type(by) is int and by > 0 else None
