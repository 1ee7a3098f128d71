"""Finds methods that a statement names and does not call: ``optimizer.zero_grad`` by itself."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import lru_cache

from graphlab.source.places import place
from graphlab.trace.values import Location


def uncalled(sources: Mapping[str, str], method: str) -> Location | None:
    """The one statement of the files `sources` that is nothing but ``….method``; None where there
    is none, or several."""
    found = [each for file, source in sources.items() for each in _bare(file, source, method)]
    return found[0] if len(found) == 1 else None


@lru_cache(maxsize=64)
def _bare(file: str, source: str, method: str) -> tuple[Location, ...]:
    if f".{method}" not in source:
        return ()
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return ()
    return tuple(
        place(node, file, source=source)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == method
        and node.lineno == node.end_lineno
    )
