"""Whether the turns of a loop write an attribute, themselves or by what they call."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from graphlab.source.places import nodes_in

_FILLING = frozenset({"append", "extend", "insert", "appendleft", "add", "update", "setdefault"})
# What a call of an object runs.
_CALLED = ("forward", "__call__")


def written_in_turns(sources: Iterable[str], body: list[ast.stmt], last: str) -> bool:
    """Whether statements of the body, or of functions that these lead to by their names, bind the
    attribute `last`, put something into it, or write attributes whose names are computed."""
    functions: dict[str, list[ast.AST]] = {}
    for source in sources:
        for node in nodes_in(source):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                functions.setdefault(node.name, []).append(node)
            elif isinstance(node, ast.ClassDef):
                made = [e for e in node.body if getattr(e, "name", "") == "__init__"]
                functions.setdefault(node.name, []).extend(made)
    waiting: list[ast.AST] = [*body]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        for node in ast.walk(each):
            if _writes(node, last):
                return True
            if isinstance(node, ast.Call):
                name = _last(node.func)
                waiting += [f for one in (name, *_CALLED) for f in functions.get(one, ())]
    return False


def _writes(node: ast.AST, last: str) -> bool:
    if isinstance(node, ast.Attribute) and node.attr == last:
        return isinstance(node.ctx, ast.Store | ast.Del)
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
        return _last(node.value) == last
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Attribute) and node.func.attr in _FILLING:
        return _last(node.func.value) == last
    return _last(node.func) in ("setattr", "__setattr__", "getattr")


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
