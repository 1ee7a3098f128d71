"""Finds statements that leave a variable as it is, where a new tensor was to take its place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from graphlab.source.places import parse, place
from graphlab.trace.model import Location

# Methods without an effect, after which the program goes on with another graph or other values.
_PURE = frozenset(("detach", "clamp"))
# Those of tensors alone that make a node of their own.
_NODES = frozenset(
    ("squeeze", "unsqueeze", "transpose", "permute", "reshape", "flatten", "div", "mul", "mean")
)
_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef

Lines = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The statement at `at`, in the function whose first line is `first` (0: the module), is
    nothing but `call`; `written` would store it. made: the lines that give the variable its value
    before; used: those that read it afterwards. Where the statement makes a node itself, both are
    its own lines."""

    at: Location
    first: int
    call: str
    written: str
    made: tuple[Lines, ...]
    used: tuple[Lines, ...]


@lru_cache(maxsize=256)
def unchanged(file: str) -> tuple[Unchanged, ...]:
    """Those of a file that certainly run when their function does."""
    tree = parse(file)
    if tree is None:
        return ()
    found = [*_in(tree.body, tree.body, file, "<module>", 0)]
    for node in ast.walk(tree):
        if isinstance(node, _FUNCTIONS):
            line = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            found += _in(node.body, node.body, file, node.name, line)
    return tuple(found)


def _in(
    body: list[ast.stmt], whole: list[ast.stmt], file: str, function: str, first: int
) -> Iterator[Unchanged]:
    """`whole` is the body of the function that `body` is a part of."""
    for node in body:
        if isinstance(node, ast.For | ast.While | ast.With):
            yield from _in(node.body, whole, file, function, first)
        elif isinstance(node, ast.Expr) and (found := _computed(node.value)) is not None:
            name, call, own = found
            last = node.end_lineno or node.lineno
            # Beside it, and no line that is there to be timed; a notebook shows a value so.
            near = body if own else whole
            made = tuple(_spans(near, name, ast.Store, 0, node.lineno))
            used = tuple(_spans(near, name, ast.Load, last))
            if made and used and not (own and body is whole and function == "<module>"):
                if own:
                    made = used = ((node.lineno, last),)
                written = f"{name} = {ast.unparse(node.value)}"
                yield Unchanged(place(node, file, function), first, call, written, made, used)


def _computed(node: ast.expr) -> tuple[str, str, bool] | None:
    """(the variable that an expression computes something of, the expression as it is told, whether
    the expression itself makes a node where that has a graph)."""
    if isinstance(node, ast.BinOp) and not isinstance(node.op, ast.MatMult):
        if not isinstance(node.left, ast.Name):
            return None
        return node.left.id, ast.unparse(node), True
    func = node.func if isinstance(node, ast.Call) else None
    if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name):
        own = func.attr in _NODES
        return (func.value.id, f"{ast.unparse(func)}()", own) if own or func.attr in _PURE else None
    return None


def _spans(
    body: list[ast.stmt], name: str, how: type[ast.expr_context], after: int, before: float = 1e9
) -> Iterator[Lines]:
    """The lines of the simple statements between two lines in which a variable is stored or read;
    of a block, those in it."""
    for node in body:
        if isinstance(node, _FUNCTIONS | ast.ClassDef):
            continue
        inner = [
            each for part in ("body", "orelse", "finalbody") for each in getattr(node, part, [])
        ]
        if inner:
            yield from _spans(inner, name, how, after, before)
        elif after < node.lineno < before and any(
            isinstance(each, ast.Name) and each.id == name and isinstance(each.ctx, how)
            for each in ast.walk(node)
        ):
            yield node.lineno, node.end_lineno or node.lineno
