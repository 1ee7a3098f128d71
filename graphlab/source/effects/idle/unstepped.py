"""Tells whether a program says anywhere that a scheduler steps, and where it only names step()."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from graphlab.source.effects.stores import last_part
from graphlab.source.places import parse, place
from graphlab.trace.values import Location

# What the name of an optimizer, or of a scaler that steps one, has in it.
_STEPPERS = ("opt", "scaler")


def may_step(files: Iterable[str], optimizers: set[str]) -> bool:
    """Whether the `files` name a step() that is none of the `optimizers`, which may be a
    scheduler's: called, or handed on. A name that is only looked at steps nothing."""
    return any(
        not (_of_optimizer(each, optimizers) or idle)
        for file in files
        for each, idle in _named(file)
    )


def only_named(files: Iterable[str], optimizers: set[str]) -> tuple[Location, str] | None:
    """The one place where such a step is looked at and not called, and how it is written."""
    found = [
        (place(each, file), ast.unparse(each))
        for file in files
        for each, idle in _named(file)
        if idle and not _of_optimizer(each, optimizers)
    ]
    return found[0] if len(found) == 1 else None


def _named(file: str) -> list[tuple[ast.Attribute, bool]]:
    """Each ``….step`` of a file, and whether it is a whole statement, or what a lambda gives."""
    tree = parse(file)
    idle: set[int] = set()
    found: list[ast.Attribute] = []
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Expr):
            idle.add(id(node.value))
        elif isinstance(node, ast.Lambda):
            idle.add(id(node.body))
        elif isinstance(node, ast.Attribute) and node.attr == "step":
            found.append(node)
    return [(each, id(each) in idle) for each in found]


def _of_optimizer(step: ast.Attribute, optimizers: set[str]) -> bool:
    holder = step.value
    while isinstance(holder, ast.Call | ast.Subscript):
        holder = holder.func if isinstance(holder, ast.Call) else holder.value
    name = last_part(holder)
    return name in optimizers or any(word in name.lower() for word in _STEPPERS)
