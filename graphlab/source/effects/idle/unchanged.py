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
_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef

Lines = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The statement at `at`, in the function whose first line is `first` (0: the module), is
    nothing but `call`; `written` would store it. made: the lines that give the variable its value
    before; used: those that read it afterwards."""

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
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            func = node.value.func
            if (
                isinstance(func, ast.Attribute)
                and func.attr in _PURE
                and isinstance(func.value, ast.Name)
            ):
                name = func.value.id
                made = tuple(_spans(whole, name, ast.Store, 0, node.lineno))
                used = tuple(_spans(whole, name, ast.Load, node.end_lineno or node.lineno))
                if made and used:
                    written = f"{name} = {ast.unparse(node.value)}"
                    call = f"{ast.unparse(func)}()"
                    yield Unchanged(place(node, file, function), first, call, written, made, used)


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
