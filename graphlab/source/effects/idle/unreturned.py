"""Finds hooks that give one of their parameters a new value, which they neither return nor use."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from graphlab.source.places import parse, place
from graphlab.trace.model import Location

_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
_SCOPES = _FUNCTIONS | ast.Lambda | ast.ClassDef
# What a value may be made of: such an expression does nothing but compute.
_PLAIN = (
    ast.Name | ast.Constant | ast.Attribute | ast.Subscript | ast.Slice | ast.BinOp | ast.UnaryOp
    | ast.Compare | ast.BoolOp | ast.IfExp | ast.Tuple | ast.List | ast.Call | ast.keyword
    | ast.operator | ast.unaryop | ast.cmpop | ast.boolop | ast.expr_context | ast.GeneratorExp
    | ast.ListComp | ast.comprehension | ast.Starred
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unreturned:
    """The statement at `at`, of a function called `function`, that gives its parameter `name` a
    value which goes nowhere."""

    at: Location
    function: str
    name: str


def unreturned(file: str, first: int, name: str, parameter: str) -> Unreturned | None:
    """Of the function called `name` whose code begins in line `first`."""
    tree = parse(file)
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.FunctionDef) and node.name == name and _first(node) == first:
            found = _last_value(node, parameter)
            return Unreturned(place(found, file, name), name, parameter) if found else None
    return None


def _first(node: ast.FunctionDef) -> int:
    return min([node.lineno, *(each.lineno for each in node.decorator_list)])


def _last_value(function: ast.FunctionDef, parameter: str) -> ast.Assign | None:
    """The last assignment to the parameter, if nothing reads that value and nothing is returned."""
    inside = [each for statement in function.body for each in ast.walk(statement)]
    if any(
        isinstance(each, ast.Yield | ast.YieldFrom | ast.Global | ast.Nonlocal) for each in inside
    ):
        return None
    if any(isinstance(each, _SCOPES | ast.For | ast.While | ast.Try) for each in inside):
        # It may be read there at another time.
        return None
    if any(isinstance(each, ast.Return) and not _is_none(each.value) for each in inside):
        return None
    stores = [
        each
        for each in inside
        if isinstance(each, ast.Assign)
        and len(each.targets) == 1
        and isinstance(each.targets[0], ast.Name)
        and each.targets[0].id == parameter
    ]
    if not stores:
        return None
    last = max(stores, key=lambda each: each.lineno)
    named = [each for each in inside if isinstance(each, ast.Name) and each.id == parameter]
    own = {id(each) for each in ast.walk(last)}
    if any(id(each) not in own and each.lineno >= last.lineno for each in named):
        return None
    reads = any(isinstance(each.ctx, ast.Load) for each in named if id(each) in own)
    return last if reads and _only_computes(last.value, parameter) else None


def _is_none(value: ast.expr | None) -> bool:
    return value is None or (isinstance(value, ast.Constant) and value.value is None)


def _only_computes(value: ast.expr, parameter: str) -> bool:
    """Whether it calls torch's functions and the methods of the parameter, or of its items, alone,
    and none in place."""
    items = {
        target.id
        for each in ast.walk(value)
        if isinstance(each, ast.comprehension) and _root(each.iter) == parameter
        for target in ast.walk(each.target)
        if isinstance(target, ast.Name)
    }
    for each in ast.walk(value):
        if not isinstance(each, _PLAIN):
            return False
        if not isinstance(each, ast.Call):
            continue
        func = each.func
        if isinstance(func, ast.Name):
            if func.id not in ("tuple", "list"):
                return False
        elif (
            not isinstance(func, ast.Attribute)
            or func.attr.endswith("_")
            or _root(func) not in (parameter, "torch", "F", "nn", *items)
        ):
            return False
    return True


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    if isinstance(node, ast.BinOp):
        return _root(node.left)
    return node.id if isinstance(node, ast.Name) else ""
