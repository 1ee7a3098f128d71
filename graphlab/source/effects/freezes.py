"""Finds the statements of a file that set requires_grad, with the loops and conditions around
them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from graphlab.source.places import parse
from graphlab.source.statements import Scope


@dataclass(frozen=True, slots=True)
class Freeze:
    """``holder.requires_grad = value``, in `statement`. around: the loops, and the conditions with
    whether they held, outermost first."""

    statement: ast.stmt
    holder: ast.expr
    value: ast.expr
    scope: Scope
    around: tuple[ast.For | tuple[ast.expr, bool], ...]


@lru_cache(maxsize=64)
def freezes(file: str) -> tuple[Freeze, ...]:
    """All of a file, in the order of their lines."""
    tree = parse(file)
    return tuple(_of(tree.body, Scope(file), ())) if tree is not None else ()


Around = tuple[ast.For | tuple[ast.expr, bool], ...]


def _of(body: list[ast.stmt], scope: Scope, around: Around) -> Iterator[Freeze]:
    skipped: Around = ()
    for node in body:
        yield from _in(node, scope, (*around, *skipped))
        if isinstance(node, ast.If) and not node.orelse and _leaves(node.body):
            # What comes after an `if …: continue` runs where the condition did not hold.
            skipped = (*skipped, (node.test, False))


def _leaves(body: list[ast.stmt]) -> bool:
    return isinstance(body[-1], ast.Continue | ast.Return | ast.Break | ast.Raise)


def _in(node: ast.stmt, scope: Scope, around: Around) -> Iterator[Freeze]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        path = f"{scope.path}.{node.name}" if scope.path else node.name
        yield from _of(node.body, Scope(scope.file, node, scope.owner, (), path), ())
    elif isinstance(node, ast.ClassDef):
        path = f"{scope.path}.{node.name}" if scope.path else node.name
        yield from _of(node.body, Scope(scope.file, None, node.name, (), path), ())
    elif isinstance(node, ast.If):
        yield from _of(node.body, scope, (*around, (node.test, True)))
        yield from _of(node.orelse, scope, (*around, (node.test, False)))
    elif isinstance(node, ast.For):
        yield from _of(node.body, scope, (*around, node))
        yield from _of(node.orelse, scope, around)
    elif hasattr(node, "body"):
        for name in ("body", "orelse", "finalbody"):
            yield from _of(getattr(node, name, []), scope, around)
        for each in getattr(node, "handlers", []):
            yield from _of(each.body, scope, around)
    else:
        yield from _simple(node, scope, around)


def _simple(node: ast.stmt, scope: Scope, around: Around) -> Iterator[Freeze]:
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Attribute) and target.attr == "requires_grad":
                yield Freeze(node, target.value, node.value, scope, around)
    for each in ast.walk(node):
        func = each.func if isinstance(each, ast.Call) else None
        if not isinstance(each, ast.Call):
            continue
        if isinstance(func, ast.Attribute) and func.attr == "requires_grad_":
            word = next((k.value for k in each.keywords if k.arg == "requires_grad"), None)
            value = each.args[0] if each.args else word or ast.Constant(True)
            loops: Around = around
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.ListComp):
                loops = (*around, *_comprehended(node.value))
            yield Freeze(node, func.value, value, scope, loops)
        elif isinstance(func, ast.Name) and func.id == "setattr" and len(each.args) == 3:
            name = each.args[1]
            if isinstance(name, ast.Constant) and name.value == "requires_grad":
                yield Freeze(node, each.args[0], each.args[2], scope, around)


def _comprehended(node: ast.ListComp) -> Iterator[ast.For]:
    for each in node.generators:
        yield ast.For(target=each.target, iter=each.iter, body=[], orelse=[])
