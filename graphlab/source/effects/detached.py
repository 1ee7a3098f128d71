"""Finds what a loop, or one statement, detaches."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

_BLOCKS = ast.For | ast.While
# What a function that detaches a state calls besides, as ``repackage_hidden`` of the examples does.
_AROUND = ("detach", "isinstance", "tuple", "list", "map", "type", "dict", "items")


@dataclass(frozen=True, slots=True)
class Detach:
    """``of.detach()``, ``of.data`` or ``repackage(of)`` at `node`, in a simple statement. In a
    comprehension over a state, `of` is that."""

    node: ast.expr
    of: ast.expr
    statement: ast.stmt


def detaches_around(tree: ast.Module | None, line: int) -> list[Detach]:
    """Those in the innermost loop around a line, and in the statement at the line if it is in
    none."""
    found = [
        each
        for each in (ast.walk(tree) if tree is not None else ())
        if isinstance(each, ast.stmt) and each.lineno <= line <= (each.end_lineno or 0)
    ]
    loops = [each for each in found if isinstance(each, _BLOCKS)]
    simple = [each for each in found if not hasattr(each, "body")]
    inner = max(loops or simple, key=lambda each: each.lineno, default=None)
    return [*_in(inner, _helpers(tree))] if inner is not None else []


def _helpers(tree: ast.Module | None) -> frozenset[str]:
    """The functions of a file that do nothing but detach what they are given."""
    return frozenset(
        each.name
        for each in (ast.walk(tree) if tree is not None else ())
        if isinstance(each, ast.FunctionDef) and _only_detaches(each)
    )


def _only_detaches(function: ast.FunctionDef) -> bool:
    calls = [each.func for each in ast.walk(function) if isinstance(each, ast.Call)]
    names = [each.attr if isinstance(each, ast.Attribute) else ast.unparse(each) for each in calls]
    return "detach" in names and {*names} <= {*_AROUND, function.name}


def _in(outer: ast.stmt, helpers: frozenset[str]) -> Iterator[Detach]:
    for statement in ast.walk(outer):
        if not isinstance(statement, ast.stmt) or hasattr(statement, "body"):
            continue
        over = {
            name.id: each.iter
            for each in ast.walk(statement)
            if isinstance(each, ast.comprehension)
            for name in ast.walk(each.target)
            if isinstance(name, ast.Name)
        }
        for node in ast.walk(statement):
            of = _detached(node, helpers)
            if of is not None and isinstance(node, ast.expr):
                if isinstance(of, ast.Name) and of.id in over:
                    of = over[of.id]
                yield Detach(node, of, statement)


def _detached(node: ast.AST, helpers: frozenset[str]) -> ast.expr | None:
    if isinstance(node, ast.Attribute) and node.attr == "data":
        return node.value
    func = node.func if isinstance(node, ast.Call) and not node.args else None
    if isinstance(func, ast.Attribute) and func.attr in ("detach", "detach_"):
        return func.value
    if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
        return node.args[0] if name in helpers else None
    return None
