"""Reads from the syntax tree what a statement assigns, to which names, and in which scope."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache

from graphlab.source.places import kinds_of, nodes_of
from graphlab.source.vocabulary import GUARDS


def is_guard(expression: ast.expr) -> bool:
    """Whether it is ``torch.no_grad()``, ``no_grad`` or the like, or a choice (`a if b else c`)
    with such a branch."""
    if isinstance(expression, ast.IfExp):
        return is_guard(expression.body) or is_guard(expression.orelse)
    called = expression.func if isinstance(expression, ast.Call) else expression
    return ast.unparse(called).rsplit(".", 1)[-1] in GUARDS


def target_names(target: ast.expr) -> list[str]:
    """The source of each target of an assignment, a tuple's entries one by one."""
    return [ast.unparse(each) for each in getattr(target, "elts", [target])]


def stored_names(statement: ast.stmt) -> set[str]:
    """The source of what a statement assigns to, or appends to."""
    if isinstance(statement, ast.Assign):
        return {name for each in statement.targets for name in target_names(each)}
    if isinstance(statement, ast.AnnAssign | ast.AugAssign):
        return {ast.unparse(statement.target)}
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        func = statement.value.func
        if isinstance(func, ast.Attribute) and func.attr in ("append", "extend", "insert"):
            return {ast.unparse(func.value)}
    return set()


def assigned_value(statement: ast.stmt) -> ast.expr | None:
    """The expression that a statement assigns, or appends to a list; None if there is none."""
    source = getattr(statement, "value", None)
    if isinstance(statement, ast.Expr) and isinstance(source, ast.Call):
        return source.args[-1] if source.args else None
    return source


def call_or_source(node: ast.AST) -> str:
    """A call without its arguments; the full source of any other node, and of to() and type(),
    whose arguments matter."""
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") not in ("to", "type"):
        return ast.unparse(node.func) + "()"
    return ast.unparse(node)


def is_integer(node: ast.expr) -> bool:
    """Whether it names a dtype without gradients, such as ``torch.long``."""
    return ast.unparse(node).rsplit(".", 1)[-1] in ("long", "int", "int64", "int32", "bool")


def scope_of(tree: ast.Module | None, first: int, name: str) -> ast.AST | None:
    """The function called `name` whose code begins at line `first`; the module if there is none."""
    for each in nodes_of(tree):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name == name:
            start = min([each.lineno, *(d.lineno for d in each.decorator_list)])
            if start <= first <= each.lineno:
                return each
    return tree


def assignments_in(scope: ast.AST | None, name: str, before: int) -> list[ast.stmt]:
    """The statements of `scope` above line `before` that gave `name` its value, the last one first,
    and those that put something into it where it is a list."""
    found = [each for each in stores_in(scope).get(name, ()) if each.lineno < before]
    found.sort(key=lambda each: each.lineno, reverse=True)
    for at, each in enumerate(found):
        if isinstance(each, ast.Assign | ast.AnnAssign):
            return found[: at + 1]
    return found


@lru_cache(maxsize=1024)
def stores_in(scope: ast.AST | None) -> dict[str, list[ast.stmt]]:
    """The statements of `scope` by the names that they give values to."""
    found: dict[str, list[ast.stmt]] = {}
    for each in nodes_of(scope):
        if isinstance(each, ast.stmt):
            for name in stored_names(each):
                found.setdefault(name, []).append(each)
    return found


def element_of(node: ast.expr, at: int | str | None) -> ast.expr:
    """The element number `at` of a tuple that is written out, or the entry of that name of a dict
    or of what is made with it as a word: ``Output(loss=…)``."""
    if isinstance(at, str):
        return next((value for name, value in _entries(node) if name == at), node)
    if at is None or not isinstance(node, ast.Tuple | ast.List):
        return node
    known = at < len(node.elts) and not any(isinstance(each, ast.Starred) for each in node.elts)
    return node.elts[at] if known else node


def _entries(node: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value, value
    elif isinstance(node, ast.Call):
        yield from ((each.arg, each.value) for each in node.keywords if each.arg is not None)


def function_called(tree: ast.Module | None, call: ast.Call) -> ast.FunctionDef | None:
    """A function of the file that is known by its name only, such as one defined in another."""
    name = ast.unparse(call.func).rsplit(".", 1)[-1]
    return next((each for each in kinds_of(tree, ast.FunctionDef) if each.name == name), None)
