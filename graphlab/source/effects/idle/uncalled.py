"""Finds methods that a statement names and does not call, ``optimizer.zero_grad`` by itself, and
the one statement that calls a method."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import lru_cache

from graphlab.source.places import place
from graphlab.trace.values import Location


def uncalled(sources: Mapping[str, str], method: str) -> Location | None:
    """The one statement of the files `sources` that is nothing but ``….method``; None where there
    is none, or several."""
    found = [e for file, source in sources.items() for e in _bare(file, source, method, False)]
    return found[0] if len(found) == 1 else None


def written(sources: Mapping[str, str], method: str) -> Location | None:
    """The one statement of the files `sources` that is a call of ``….method()``, and the only one
    to name it; None where there is none, or several."""
    found = [e for file, source in sources.items() for e in _bare(file, source, method, True)]
    named = sum(source.count(f".{method}") for source in sources.values())
    return found[0] if len(found) == named == 1 else None


@lru_cache(maxsize=64)
def _bare(file: str, source: str, method: str, called: bool) -> tuple[Location, ...]:
    if f".{method}" not in source:
        return ()
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return ()
    statements = (node for node in ast.walk(tree) if isinstance(node, ast.Expr))
    return tuple(
        place(node, file, source=source)
        for node in statements
        if node.lineno == node.end_lineno
        and isinstance(node.value, ast.Call) == called
        and isinstance(func := _function(node.value), ast.Attribute)
        and func.attr == method
    )


def _function(value: ast.expr) -> ast.expr:
    return value.func if isinstance(value, ast.Call) else value
