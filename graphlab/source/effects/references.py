"""Finds where a value was kept by reference that a statement copies back later."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.source.effects.stores import stores_named
from graphlab.source.places import nodes_of, parse, place
from graphlab.trace.model import Location

# How many names lie at most between what is copied and where it was kept.
_DEEP = 6
_EMPTY = ("dict", "list", "OrderedDict", "collections.OrderedDict", "defaultdict", "[]", "{}")
_COMPREHENSIONS = ast.ListComp | ast.GeneratorExp | ast.SetComp


def kept_by_reference(file: str, line: int) -> tuple[Location, str] | None:
    """(where, what) of the one place at which the values were kept that the statement at `line`
    copies, or mixes into: ``p.data``, ``p.detach()`` or ``model.state_dict()``, of which no copy
    was made. None where that is not sure."""
    tree = parse(file)
    given = _copied(tree, line)
    if tree is None or given is None:
        return None
    kept = [*_kept(tree, file, given, line, 0)]
    if len(kept) != 1 or kept[0] is None:
        return None
    return place(kept[0], file, ""), ast.unparse(kept[0])


def _copied(tree: ast.Module | None, line: int) -> ast.expr | None:
    """``q`` of ``p.data.copy_(q)``, of ``p.data = q``, and of ``q.mul_(a).add_(p)``."""
    for node in nodes_of(tree):
        if isinstance(node, ast.Assign) and node.lineno == line:
            target = node.targets[0]
            if isinstance(target, ast.Attribute) and target.attr == "data":
                # ``p.data = p.data.float()`` may have nothing to do.
                return node.value if not _reads(node.value, target.value) else None
        func = node.func if isinstance(node, ast.Call) and node.lineno == line else None
        copies = isinstance(func, ast.Attribute) and func.attr == "copy_"
        if isinstance(node, ast.Call) and copies and node.args:
            return node.args[0]
        if isinstance(func, ast.Attribute) and mixes(func):
            inner: ast.expr = func.value
            while isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
                inner = inner.func.value
            return inner
    return None


def mixes(func: ast.expr | None) -> bool:
    """Whether a call of it mixes its argument into what it keeps a part of."""
    if not isinstance(func, ast.Attribute):
        return False
    kept = func.value.func if isinstance(func.value, ast.Call) else None
    scaled = isinstance(kept, ast.Attribute) and kept.attr == "mul_"
    return func.attr == "lerp_" or (func.attr == "add_" and scaled)


def mixes_at(file: str, line: int) -> bool:
    """Whether the statement at `line` does so."""
    calls = (n for n in nodes_of(parse(file)) if isinstance(n, ast.Call) and n.lineno == line)
    return any(mixes(each.func) for each in calls)


def _reads(node: ast.expr, target: ast.expr) -> bool:
    text = ast.unparse(target)
    return any(ast.unparse(each) == text for each in ast.walk(node) if isinstance(each, ast.expr))


def _kept(
    tree: ast.Module, file: str, node: ast.expr, line: int, depth: int
) -> Iterator[ast.expr | None]:
    """What was kept, for each place that may have: the expression, or None for another value."""
    if depth > _DEEP:
        yield None
    elif isinstance(node, ast.Name):
        source = _taken_from(tree, node.id, line)
        if source is not None:
            yield from _kept(tree, file, source, line, depth + 1)
        else:
            yield from _stored(file, node.id)
    elif isinstance(node, ast.Subscript):
        yield from _kept(tree, file, node.value, line, depth + 1)
    elif isinstance(node, ast.Attribute) and node.attr != "data":
        yield from _stored(file, node.attr)
    elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("items", "values"):
        assert isinstance(node.func, ast.Attribute)
        yield from _kept(tree, file, node.func.value, line, depth + 1)
    else:
        yield None


def _taken_from(tree: ast.Module, name: str, line: int) -> ast.expr | None:
    """What a loop around `line` takes the variable from."""
    for loop in nodes_of(tree):
        first = getattr(loop, "lineno", 0)
        if not isinstance(loop, ast.For) or not first <= line <= (loop.end_lineno or 0):
            continue
        over = loop.iter
        names = [ast.unparse(e) for e in getattr(loop.target, "elts", [loop.target])]
        if name not in names:
            continue
        if isinstance(over, ast.Call) and ast.unparse(over.func) == "zip":
            at = names.index(name)
            return over.args[at] if at < len(over.args) else None
        return over
    return None


def _stored(file: str, name: str) -> Iterator[ast.expr | None]:
    for store in stores_named(file, name):
        if store.value is None or _is_empty(store.value):
            continue
        value = store.value
        while isinstance(value, _COMPREHENSIONS | ast.DictComp):
            value = value.value if isinstance(value, ast.DictComp) else value.elt
        yield value if _is_reference(value) else None


def _is_empty(value: ast.expr) -> bool:
    text = ast.unparse(value)
    return text in _EMPTY or (
        isinstance(value, ast.Call) and not value.args and ast.unparse(value.func) in _EMPTY
    )


def _is_reference(value: ast.expr) -> bool:
    if isinstance(value, ast.Attribute) and value.attr == "data":
        return True
    if not isinstance(value, ast.Call) or value.args:
        return False
    return isinstance(value.func, ast.Attribute) and value.func.attr in ("detach", "state_dict")
