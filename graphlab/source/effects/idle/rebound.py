"""Finds assignments to the variable of a loop over parameters whose value nothing reads."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from graphlab.source.places import parse, place
from graphlab.trace.model import Location

_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
_SCOPES = _FUNCTIONS | ast.Lambda
_LOOPS = ast.For | ast.AsyncFor | ast.comprehension
_NAMED = ("parameters", "named_parameters")
_ARITHMETIC = (
    "add", "sub", "mul", "div", "lerp", "clamp", "clip", "addcmul", "addcdiv", "where", "clamp_min",
    "clamp_max",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rebound:
    """The statement at `at`, in the function whose first line is `first` (0: the module), that
    gives the variable `name` another tensor; `written` would write the parameter."""

    at: Location
    first: int
    name: str
    written: str


@lru_cache(maxsize=256)
def rebound(file: str) -> tuple[Rebound, ...]:
    """Those of a file that certainly run when their function does and meets a parameter."""
    tree = parse(file)
    if tree is None:
        return ()
    found = [*_in(tree.body, tree, tree, file, "<module>", 0)]
    for node in ast.walk(tree):
        if isinstance(node, _FUNCTIONS):
            line = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            found += _in(node.body, node, tree, file, node.name, line)
    return tuple(found)


def _in(
    body: list[ast.stmt], scope: ast.AST, tree: ast.Module, file: str, function: str, first: int
) -> Iterator[Rebound]:
    for node in body:
        if isinstance(node, ast.For):
            for name in _weights(node.target, node.iter):
                for each in _assigned(node.body, name):
                    if not _read(each, name, node, scope, tree):
                        yield Rebound(place(each, file, function), first, name, _written(each))
        if isinstance(node, ast.For | ast.While | ast.With):
            yield from _in(node.body, scope, tree, file, function, first)


def _weights(target: ast.expr, source: ast.expr) -> Iterator[str]:
    """The variables that stand for a parameter in each turn of a loop over `source`."""
    if not isinstance(source, ast.Call):
        return
    func, parts = source.func, getattr(target, "elts", ())
    if isinstance(func, ast.Attribute) and func.attr in _NAMED:
        named = target if func.attr == "parameters" else parts[1] if len(parts) == 2 else None
        if isinstance(named, ast.Name):
            yield named.id
    elif isinstance(func, ast.Name) and func.id == "enumerate" and len(parts) == 2 and source.args:
        yield from _weights(parts[1], source.args[0])
    elif isinstance(func, ast.Name) and func.id == "zip" and len(parts) == len(source.args):
        for part, each in zip(parts, source.args, strict=True):
            yield from _weights(part, each)


def _assigned(body: list[ast.stmt], name: str) -> Iterator[ast.Assign]:
    for node in body:
        if isinstance(node, ast.With):
            yield from _assigned(node.body, name)
        elif isinstance(node, ast.If) and not node.orelse and ".grad" in ast.unparse(node.test):
            # ``if p.grad is not None``
            yield from _assigned(node.body, name)
        elif isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = node.targets[0]
            if isinstance(target, ast.Name) and target.id == name and _updates(node.value, name):
                yield node


def _updates(value: ast.expr, name: str) -> bool:
    """Whether it only computes, and what it gives can have been meant for the parameter. A move to
    a device or a copy is nothing lost, and a function of the program's may write the parameter."""
    for each in ast.walk(value):
        if isinstance(each, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom):
            return False
        if isinstance(each, ast.Call):
            func = each.func
            if isinstance(func, ast.Attribute) and func.attr.endswith("_"):
                return False
            torchs = isinstance(func, ast.Attribute) and _root(func) in (name, "torch", "F")
            given = [*each.args, *(one.value for one in each.keywords)]
            if not torchs and any(_root(one) == name for one in given):
                return False
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Attribute) and value.func.attr in _ARITHMETIC
    return isinstance(value, ast.BinOp | ast.Name)


def _root(node: ast.AST) -> str:
    """``p`` of ``p.data`` and of ``p.data.mul(0.9)``."""
    while isinstance(node, ast.Attribute | ast.Call):
        node = node.value if isinstance(node, ast.Attribute) else node.func
    return node.id if isinstance(node, ast.Name) else ""


def _read(made: ast.Assign, name: str, loop: ast.For, scope: ast.AST, tree: ast.Module) -> bool:
    """Whether anything may read what the assignment stores: a later line of the turn, a line after
    the loop that does not give the variable a value of its own, a function that has it from
    around."""
    end = (made.end_lineno or made.lineno, made.end_col_offset or 0)
    if isinstance(scope, ast.Module) and any(
        _free(each, name) for each in ast.walk(tree) if isinstance(each, _SCOPES)
    ):
        return True
    if any(isinstance(each, ast.Global | ast.Nonlocal) for each in ast.walk(scope)):
        return True
    own = {id(each) for each in ast.walk(made)}
    around = {id(each) for each in ast.walk(loop)}
    bound = {id(inner) for each in ast.walk(scope) if _binds(each, name) and each is not loop
             for inner in ast.walk(each)}  # fmt: skip
    for each in ast.walk(scope):
        if isinstance(each, _SCOPES) and each is not scope and _free(each, name):
            return True
        if not isinstance(each, ast.Name) or each.id != name or isinstance(each.ctx, ast.Store):
            continue
        later = (each.lineno, each.col_offset) > end
        if id(each) not in own and later and (id(each) in around or id(each) not in bound):
            return True
        # Of a loop around, an earlier line runs again after it.
        if not later and id(each) not in around and id(each) not in bound:
            return True
    return False


def _binds(node: ast.AST, name: str) -> bool:
    """Whether it is a loop, or has a comprehension, with a variable of that name."""
    loops = [node] if isinstance(node, _LOOPS) else getattr(node, "generators", ())
    return any(
        isinstance(part, ast.Name) and part.id == name
        for each in loops
        if isinstance(each, _LOOPS)
        for part in ast.walk(each.target)
    )


def _free(scope: ast.AST, name: str) -> bool:
    """Whether a function reads a variable of that name which is not its own."""
    inside = [each for each in ast.walk(scope) if isinstance(each, ast.Name) and each.id == name]
    own = any(isinstance(each.ctx, ast.Store) for each in inside)
    own = own or any(each.arg == name for each in ast.walk(scope) if isinstance(each, ast.arg))
    return bool(inside) and not own


def _written(node: ast.Assign) -> str:
    name, value = ast.unparse(node.targets[0]), node.value
    if (
        isinstance(value, ast.BinOp)
        and isinstance(value.op, ast.Add | ast.Sub)
        and ast.unparse(value.left) in (name, f"{name}.data")
    ):
        sign = "+" if isinstance(value.op, ast.Add) else "-"
        written = f"{name} {sign}= {ast.unparse(value.right)}"
    else:
        written = f"{name}.copy_({ast.unparse(value)})"
    return written if len(written) < 80 else written[:77] + "…"
