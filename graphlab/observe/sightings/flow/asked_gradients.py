"""Notices backwards around which the source reads the gradient of one input, as an attack does."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import FrameType
from typing import Any

from graphlab.observe.notes import RawBackward, Spot, located
from graphlab.observe.sightings.watched import Watched
from graphlab.source.places import nodes_of, parse
from graphlab.trace.model import Location
from graphlab.trace.steps.sightings import AskedOfInput

# How many lines with a backward are looked at.
MOST = 64
# What lets a tensor have a gradient of its own.
_KEEPS = ("requires_grad_", "retain_grad")
_Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.For | ast.While


class AskedGradients:
    def __init__(self, watched: Watched) -> None:
        self._spots: dict[Spot, None] = {}

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        if not record.is_grad and record.spot is not None and len(self._spots) < MOST:
            self._spots.setdefault(record.spot)

    def found(self) -> Iterator[AskedOfInput]:
        for at in map(located, self._spots):
            found = _asked_at(at) if at is not None else None
            if found is not None:
                yield found


def _asked_at(at: Location) -> AskedOfInput | None:
    """Of the innermost loop or function around the line: the one leaf of the function's own whose
    gradient it reads, if there is no step in it, which would be to apply those of parameters."""
    around = sorted(
        (node for node in nodes_of(parse(at.file)) if isinstance(node, _Scope) and _has(node, at)),
        key=lambda node: (node.end_lineno or 0) - node.lineno,
    )
    if not around or any(_is_step(each) for each in ast.walk(around[0])):
        return None
    functions = [each for each in around if not isinstance(each, ast.For | ast.While)]
    scope = functions[0] if functions else parse(at.file)
    read = {
        each.value.id
        for each in ast.walk(around[0])
        if isinstance(each, ast.Attribute)
        and each.attr == "grad"
        and isinstance(each.ctx, ast.Load)
        and isinstance(each.value, ast.Name)
    }
    leaves = read & {*_leaves(scope)}
    if len(read) != 1 or not leaves:
        return None
    return AskedOfInput(at, leaves.pop(), around[0].lineno, around[0].end_lineno or 0)


def _has(node: ast.stmt, at: Location) -> bool:
    return node.lineno <= at.line <= (node.end_lineno or 0)


def _is_step(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ("step", "parameters")


def _leaves(scope: ast.AST | None) -> Iterator[str]:
    """The variables that a function tells to require grad, or to keep their gradients."""
    for node in nodes_of(scope):
        if isinstance(node, ast.Assign):
            names = [each.id for each in node.targets if isinstance(each, ast.Name)]
            if names and _requires_grad(node.value):
                yield from names
            for each in node.targets:
                if isinstance(each, ast.Attribute) and each.attr == "requires_grad":
                    yield ast.unparse(each.value)
        elif isinstance(node, ast.Expr) and _requires_grad(node.value):
            yield ast.unparse(node.value).partition(".")[0]


def _requires_grad(node: ast.expr) -> bool:
    """Whether it is a call that makes a leaf, or the like of ``x.requires_grad_()``."""
    if not isinstance(node, ast.Call):
        return False
    if any(each.arg == "requires_grad" for each in node.keywords):
        return True
    return isinstance(node.func, ast.Attribute) and node.func.attr in _KEEPS
