"""Finds statements that compute something of a tensor, store it nowhere and change nothing."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from graphlab.source.places import parse, place
from graphlab.trace.model import Location

_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
# Random numbers may be drawn for the generator's sake; a result of these may be thrown away.
_DRAWS = ("normal", "bernoulli", "random", "uniform")
# Methods that are there for what they change, and what is set and not asked, where they are not in
# somebody's notebook at the top of a file.
_MODES, _SET = ("eval", "train"), ("requires_grad", "training", "data", "grad")


@dataclass(frozen=True, slots=True)
class Discarded:
    """The statement at `at`, in the function whose first line is `first` (0: the module), that
    calls `call`; `written` is the call in place that was meant. idle: `call` is only `named` there,
    or `compared`."""

    at: Location
    first: int
    call: str
    written: str
    idle: Literal["named", "compared", ""] = ""


@lru_cache(maxsize=256)
def discarded(file: str, writes: Callable[[str], bool]) -> tuple[Discarded, ...]:
    """Those of a file that certainly run when their function does: `writes` is asked whether torch
    has a method in place of a name. What is computed from must outlive the statement's function, or
    be a parameter of a model: an attribute, an item, a gradient, what a loop takes from
    ``parameters()``."""
    tree = parse(file)
    if tree is None or not _imports_torch(tree):
        return ()
    return (*_in(tree.body, file, "", 0, frozenset(), writes), *_idle(tree, file, "", 0, writes))


def _idle(
    node: ast.AST, file: str, path: str, first: int, writes: Callable[[str], bool]
) -> Iterator[Discarded]:
    """Statements that do nothing wherever they stand: a method that is there for what it changes
    and is not called, ``model.eval``, and ``p.requires_grad == False``."""
    for each in ast.iter_child_nodes(node):
        inner, line = path, first
        if isinstance(each, _FUNCTIONS | ast.ClassDef):
            inner = f"{path}.{each.name}" if path else each.name
        if isinstance(each, _FUNCTIONS):
            line = min([each.lineno, *(one.lineno for one in each.decorator_list)])
        value = each.value if isinstance(each, ast.Expr) else None
        if isinstance(value, ast.Attribute):
            name = value.attr
            if name in _MODES or (name[-1] == "_" != name[0] and writes(name[:-1])):
                found = ast.unparse(value)
                at = place(each, file, path or "<module>")
                yield Discarded(at, first, found, f"{found}()", "named")
        elif isinstance(value, ast.Compare) and not isinstance(node, ast.Module):
            target, operator = value.left, value.ops[0]
            sets = isinstance(target, ast.Attribute) and target.attr in _SET
            if sets and len(value.ops) == 1 and isinstance(operator, ast.Eq):
                left, right = ast.unparse(target), ast.unparse(value.comparators[0])
                at = place(each, file, path or "<module>")
                yield Discarded(at, first, f"{left} == {right}", f"{left} = {right}", "compared")
        if isinstance(each, ast.stmt | ast.ExceptHandler):
            yield from _idle(each, file, inner, line, writes)


def _imports_torch(tree: ast.Module) -> bool:
    return any(
        isinstance(each, ast.Import) and any(one.name == "torch" for one in each.names)
        for each in ast.walk(tree)
    )


def _in(
    body: list[ast.stmt],
    file: str,
    path: str,
    first: int,
    weights: frozenset[str],
    writes: Callable[[str], bool],
) -> Iterator[Discarded]:
    """`weights` are the variables of the loops around over ``parameters()``."""
    for node in body:
        if isinstance(node, _FUNCTIONS | ast.ClassDef):
            inner = f"{path}.{node.name}" if path else node.name
            line = first
            if isinstance(node, _FUNCTIONS):
                line = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            yield from _in(node.body, file, inner, line, frozenset(), writes)
        elif isinstance(node, ast.For):
            names = weights
            if "parameters(" in ast.unparse(node.iter):
                found = (each for each in ast.walk(node.target) if isinstance(each, ast.Name))
                names = weights | {each.id for each in found}
            yield from _in(node.body, file, path, first, names, writes)
        elif isinstance(node, ast.With | ast.While):
            yield from _in(node.body, file, path, first, weights, writes)
        elif isinstance(node, ast.If) and not node.orelse and ".grad" in ast.unparse(node.test):
            # ``if p.grad is not None``
            yield from _in(node.body, file, path, first, weights, writes)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            found = _written(node.value, weights, writes)
            if found is not None:
                yield Discarded(place(node, file, path or "<module>"), first, *found)


def _written(
    call: ast.Call, weights: frozenset[str], writes: Callable[[str], bool]
) -> tuple[str, str] | None:
    """(the call, the one in place) of a call without effect; None for any other."""
    func = call.func
    if not isinstance(func, ast.Attribute) or any(each.arg == "out" for each in call.keywords):
        return None
    name = func.attr
    if name.endswith("_") or name in _DRAWS or not writes(name):
        return None
    given: list[ast.expr | ast.keyword] = [*call.args, *call.keywords]
    if isinstance(func.value, ast.Name) and func.value.id == "torch":
        if not call.args or not _outlives(call.args[0], weights):
            return None
        target, given = call.args[0], [*given[1:]]
    elif _is_gradient(func.value) or _root(func.value) in weights:
        target = func.value
    else:
        return None
    arguments = ", ".join(ast.unparse(each) for each in given)
    written = f"{ast.unparse(target)}.{name}_({arguments})"
    return f"{ast.unparse(func)}()", written if len(written) < 80 else written[:77] + "…"


def _outlives(node: ast.expr, weights: frozenset[str]) -> bool:
    return isinstance(node, ast.Attribute | ast.Subscript) or _root(node) in weights


def _is_gradient(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute) and node.attr == "data":
        node = node.value
    return isinstance(node, ast.Attribute) and node.attr == "grad"


def _root(node: ast.AST) -> str:
    """``p`` of ``p.data`` and of ``p.data.mul(0.9)``."""
    while isinstance(node, ast.Attribute | ast.Call):
        node = node.value if isinstance(node, ast.Attribute) else node.func
    return node.id if isinstance(node, ast.Name) else ""
