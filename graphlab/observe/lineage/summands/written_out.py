"""Finds where a collection of summands is written out, or what a function of the user's returns."""

from __future__ import annotations

import ast
from typing import NamedTuple

from graphlab.observe.lineage.reader import Lineage
from graphlab.source.effects.assignments import target_names

# How many sums and calls are gone into.
DEEP = 8


class Written(NamedTuple):
    """A tuple, list or dict that is written out, at line `before` of its function."""

    lineage: Lineage
    node: ast.Tuple | ast.List | ast.Dict
    before: int

    def at(self, key: int | str) -> ast.expr | None:
        """Its entry under an index or a key that is a string."""
        if isinstance(self.node, ast.Dict):
            for name, value in zip(self.node.keys, self.node.values, strict=True):
                if isinstance(name, ast.Constant) and name.value == key:
                    return value
            return None
        if not isinstance(key, int) or key >= len(self.node.elts):
            return None
        return self.node.elts[key]


def written(lineage: Lineage, node: ast.expr, before: int, depth: int) -> Written | None:
    """Where the collection that an expression gives is written out: there, where its variable is
    stored, or where a function of the user's returns it."""
    if depth > DEEP:
        return None
    if isinstance(node, ast.Tuple | ast.List | ast.Dict):
        return Written(lineage, node, before)
    if isinstance(node, ast.Name):
        stored = lineage.assignments(node.id, before)
        made = stored[0] if len(stored) == 1 else None
        if isinstance(made, ast.Assign) and isinstance(made.targets[0], ast.Name):
            return written(lineage, made.value, made.lineno, depth + 1)
    elif isinstance(node, ast.Call):
        returned = returned_by(lineage, node, before, depth)
        return written(*returned, depth + 1) if returned is not None else None
    return None


def returned_by(
    lineage: Lineage, node: ast.Call, before: int, depth: int
) -> tuple[Lineage, ast.expr, int] | None:
    """What the user's own function returns, if it is at one place, and gradients are on there."""
    inner = lineage.inside(node, lineage.reach(node.func), [], before, depth)
    returned = inner.returns() if inner is not None else []
    if inner is None or len(returned) != 1 or inner.guard(returned[0]):
        return None
    assert returned[0].value is not None
    return inner, returned[0].value, returned[0].lineno


def unpacked(
    lineage: Lineage, statement: ast.Assign, name: str, depth: int
) -> tuple[Lineage, ast.expr, int] | None:
    """What `name` gets in ``loss, parts = compute(batch)``: (lineage, expression, line)."""
    target = statement.targets[0]
    if not isinstance(target, ast.Tuple | ast.List):
        return None
    names = target_names(target)
    found = written(lineage, statement.value, statement.lineno, depth)
    if found is None or isinstance(found.node, ast.Dict) or len(found.node.elts) != len(names):
        return None
    return found.lineage, found.node.elts[names.index(name)], found.before
