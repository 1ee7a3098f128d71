"""Tells by its words whether a call of a model in the source evaluates it."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator

from graphlab.source.places import parse
from graphlab.trace.model import Location

# What an evaluation and its data are called.
_SAYS = frozenset(
    ("val", "valid", "validate", "validation", "validating", "eval", "evaluate", "evaluation",
     "evaluating", "test", "testing", "dev", "holdout", "heldout")
)  # fmt: skip
# What else the name of a function that evaluates is made of.
_BESIDE = frozenset(
    ("acc", "accuracy", "all", "batch", "calc", "calculate", "check", "compute", "data",
     "dataset", "do", "epoch", "fn", "get", "loop", "loss", "metric", "metrics", "model", "my",
     "net", "network", "on", "one", "performance", "perplexity", "run", "score", "set", "step",
     "the")
)  # fmt: skip


def evaluating_call(at: Location) -> str:
    """The call at `at` as it is written, where it evaluates a model and what it gives is used: in
    a function of such a name, in a loop over such data, or with such an argument. "" elsewhere, and
    where a train() stands in the same block."""
    tree = parse(at.file)
    found = _path(tree, at) if tree is not None else []
    call = found[-1] if found else None
    if not isinstance(call, ast.Call) or isinstance(found[-2], ast.Expr):
        return ""
    if not any(map(_says, _data(found))) and not _function_says(found, at.file):
        return ""
    return "" if _trains(found) or _repeats(found) else ast.unparse(call)


def _path(tree: ast.AST, at: Location) -> list[ast.AST]:
    """What leads to the call that ends where the instruction does, from the outside in."""
    path: list[ast.AST] = [tree]
    while True:
        inner = [
            each
            for each in ast.iter_child_nodes(path[-1])
            if getattr(each, "lineno", at.line + 1) <= at.line
            and (getattr(each, "end_lineno", None) or 0) >= (at.end_line or at.line)
            and (each.lineno < at.line or _ends(each, at) or isinstance(each, ast.stmt))  # pyright: ignore
        ]
        if not inner:
            return []
        path.append(inner[-1])
        if isinstance(path[-1], ast.Call) and _is(path[-1], at):
            return path


def _ends(node: ast.AST, at: Location) -> bool:
    return getattr(node, "col_offset", 0) < at.column and (
        (getattr(node, "end_lineno", 0) or 0) > (at.end_line or at.line)
        or (getattr(node, "end_col_offset", 0) or 0) + 1 >= (at.end_column or 0)
    )


def _is(node: ast.Call, at: Location) -> bool:
    return (node.lineno, node.col_offset + 1) == (at.line, at.column) and (
        node.end_lineno,
        (node.end_col_offset or 0) + 1,
    ) == (at.end_line, at.end_column)


def _data(path: list[ast.AST]) -> Iterator[str]:
    """The names of what the loops around the call run over, and of its arguments."""
    call = path[-1]
    for each in call.args if isinstance(call, ast.Call) else ():
        yield from _names(each)
    for each in path:
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(each, ast.For | ast.AsyncFor):
            yield from _names(each.iter)
        for inner in getattr(each, "generators", []):
            yield from _names(inner.iter)


def _names(node: ast.AST) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            yield each.id
        elif isinstance(each, ast.Attribute):
            yield each.attr
        elif isinstance(each, ast.Constant) and type(each.value) is str:
            yield each.value


def _words(name: str) -> list[str]:
    return [each.lower() for each in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]


def _says(name: str) -> bool:
    return not _SAYS.isdisjoint(_words(name))


def _function_says(path: list[ast.AST], file: str) -> bool:
    """Whether the function around it is named for nothing but that. Those of a file of tests are
    tests of something else."""
    if os.path.basename(file).startswith("test_") or os.path.basename(file).endswith("_test.py"):
        return False
    functions = [each for each in path if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    words = _words(functions[-1].name) if functions else []
    return not _SAYS.isdisjoint(words) and {*words} <= _SAYS | _BESIDE


def _trains(path: list[ast.AST]) -> bool:
    """Whether train() is called in the innermost ``with`` around the call, or in the function where
    that trains nothing."""
    for each in reversed(path):
        if isinstance(each, ast.With) and "train" in _methods(each):
            return True
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            called = _methods(each)
            return "train" in called and called.isdisjoint(("backward", "step"))
    return False


def _repeats(path: list[ast.AST]) -> bool:
    """Whether the innermost loop around the call computes the same again and again, as a Monte
    Carlo estimate does: nothing but where a result goes depends on its turn."""
    for each in reversed(path):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return False
        if isinstance(each, ast.For | ast.AsyncFor):
            stored = [t for one in ast.walk(each) for t in getattr(one, "targets", ())]
            beside = {id(node) for target in stored for node in ast.walk(target)}
            read = [n for one in each.body for n in ast.walk(one) if id(n) not in beside]
            return _unread(each.target, read)
        if generators := getattr(each, "generators", []):
            later = [*ast.walk(getattr(each, "elt", each))]
            return _unread(generators[-1].target, later)
    return False


def _unread(target: ast.expr, where: list[ast.AST]) -> bool:
    names = {each.id for each in ast.walk(target) if isinstance(each, ast.Name)}
    return not any(isinstance(each, ast.Name) and each.id in names for each in where)


def _methods(node: ast.AST) -> set[str]:
    """The names of the methods that are called in it."""
    calls = (each.func for each in ast.walk(node) if isinstance(each, ast.Call))
    return {each.attr for each in calls if isinstance(each, ast.Attribute)}
