"""Finds the statement that mixes the parameters of one network into those of another."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

# What keeps a part of what it writes to.
_KEEPING = ("mul_", "lerp_")


@dataclass(frozen=True, slots=True)
class Mixing:
    """A loop over the parameters of two networks side by side, `into` and `of`: its body writes to
    the one what is left of it and a part of the other."""

    loop: ast.For
    into: str
    of: str


def mixed_at(tree: ast.Module | None, line: int) -> Mixing | None:
    """The loop whose body has this line and nothing but such statements."""
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.For) and node.lineno < line <= (node.end_lineno or 0):
            found = _mixing(node)
            if found is not None:
                return found
    return None


def _mixing(loop: ast.For) -> Mixing | None:
    target, over = loop.target, loop.iter
    if not isinstance(target, ast.Tuple) or not isinstance(over, ast.Call):
        return None
    names = [each.id for each in target.elts if isinstance(each, ast.Name)]
    sides = [ast.unparse(each) for each in over.args]
    if len(names) != 2 or len(target.elts) != 2 or ast.unparse(over.func) != "zip":
        return None
    if len(sides) != 2 or not all(each.endswith(".parameters()") for each in sides):
        return None
    calls = [_methods(each) for each in loop.body]
    roots = {root for root, _ in calls}
    if len(roots) != 1 or not roots <= {*names}:
        return None
    into = roots.pop()
    of = names[1 - names.index(into)]
    keeps = any(method in _KEEPING for _, methods in calls for method in methods)
    keeps = keeps or any(_copies_itself(each, into) for each in loop.body)
    reads = any(
        isinstance(each, ast.Name) and each.id == of
        for statement in loop.body
        for each in ast.walk(statement)
    )
    return Mixing(loop, into, of) if keeps and reads else None


def _copies_itself(statement: ast.stmt, into: str) -> bool:
    """Whether it is ``s.copy_(a * s + b * t)``, of what `into` was as well, or ``s.data = …``."""
    if isinstance(statement, ast.Assign):
        return any(
            isinstance(each, ast.BinOp)
            and isinstance(each.op, ast.Mult)
            and into in (_root(each.left), _root(each.right))
            for each in ast.walk(statement.value)
        )
    return any(
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "copy_"
        and any(
            isinstance(each, ast.Name) and each.id == into
            for given in call.args
            for each in ast.walk(given)
        )
        for call in ast.walk(statement)
    )


def _methods(statement: ast.stmt) -> tuple[str, list[str]]:
    """The variable at the start of a chain of calls in place, and their names; or the one whose
    ``.data`` is given a value."""
    if isinstance(statement, ast.Assign):
        target = statement.targets[0]
        given = isinstance(target, ast.Attribute) and target.attr == "data"
        return (_root(target), []) if given and len(statement.targets) == 1 else ("", [])
    node = statement.value if isinstance(statement, ast.Expr) else None
    methods: list[str] = []
    while isinstance(node, ast.Call | ast.Attribute):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            methods.append(node.func.attr)
            node = node.func.value
        elif isinstance(node, ast.Attribute) and node.attr == "data":
            node = node.value
        else:
            return "", []
    written = methods and all(each.endswith("_") for each in methods)
    return (node.id, methods) if isinstance(node, ast.Name) and written else ("", [])


def part_kept(tree: ast.Module, statement: ast.stmt, into: str) -> float | None:
    """The factor of `into` itself in what is written to it, where the file says it: a number, or
    what has the name of one; None if it does not say."""
    for node in ast.walk(statement):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            for side, factor in ((node.left, node.right), (node.right, node.left)):
                if _root(side) == into:
                    return _number(tree, factor)
        func = node.func if isinstance(node, ast.Call) and node.args else None
        scaled = isinstance(func, ast.Attribute) and func.attr == "mul_"
        if scaled and isinstance(node, ast.Call) and _root(node.func) == into:
            return _number(tree, node.args[0])
    return None


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _number(tree: ast.Module, node: ast.expr) -> float | None:
    if isinstance(node, ast.Constant):
        return float(node.value) if isinstance(node.value, int | float) else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
        left, right = _number(tree, node.left), _number(tree, node.right)
        return left - right if left is not None and right is not None else None
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    told = {*_given_to(tree, name)} if name else set()
    return told.pop() if len(told) == 1 else None


def _given_to(tree: ast.Module, name: str) -> Iterator[float]:
    """The numbers that a file gives to variables, attributes and arguments of a name."""
    for node in ast.walk(tree):
        pairs: list[tuple[str, ast.expr | None]] = []
        if isinstance(node, ast.Assign):
            for target in node.targets:
                pairs += _assigned(target, node.value)
        elif isinstance(node, ast.AnnAssign):
            pairs += _assigned(node.target, node.value)
        elif isinstance(node, ast.arguments):
            given = [*node.posonlyargs, *node.args]
            last = given[len(given) - len(node.defaults) :]
            pairs += [(arg.arg, value) for arg, value in zip(last, node.defaults, strict=True)]
            pairs += [
                (arg.arg, value)
                for arg, value in zip(node.kwonlyargs, node.kw_defaults, strict=True)
            ]
        elif isinstance(node, ast.keyword) and node.arg is not None:
            pairs.append((node.arg, node.value))
        for told, value in pairs:
            number = value.value if isinstance(value, ast.Constant) else None
            if told == name and isinstance(number, int | float):
                yield float(number)


def _assigned(target: ast.expr, value: ast.expr | None) -> Iterator[tuple[str, ast.expr | None]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, given in zip(target.elts, value.elts, strict=False):
            yield from _assigned(one, given)
    else:
        yield target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", ""), value
