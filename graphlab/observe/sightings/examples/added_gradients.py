"""Finds examples whose gradient is read in each turn and never cleared: it holds those of all turns
before as well."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

from graphlab.observe.graph.walk import leaf_of
from graphlab.observe.names import Names
from graphlab.observe.notes import RawBackward, Spot, located
from graphlab.observe.optimizers.vectors import Sample
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Ref, grad_of, is_parameter, version_of
from graphlab.source.effects.assignments import scope_of
from graphlab.source.files import user_frame
from graphlab.source.objects import variables
from graphlab.source.places import parse, place
from graphlab.trace.model import Location
from graphlab.trace.sightings import GradientKept

# At how many backwards the old gradient must have been there, how many leaves of each are looked
# at, and how many in all: a program may make a new one in each turn.
ENOUGH, MOST, LEAVES = 3, 8, 64
# What shows a value, as a program that explains how gradients add up does.
_SHOWS = ("print", "log", "info", "debug")

Key = tuple[Spot, int]


@dataclass(slots=True)
class Held:
    """A leaf at the last backward of a line, its values and its gradient's; how often that was
    there still at the next one, or None once it was not; the statement that reads it; what is told
    of it, once that was often enough."""

    leaf: Ref
    sample: Sample
    grad: int
    version: int
    name: str
    at: Location
    count: int | None = 0
    told: GradientKept | None = None


class AddedGradients:
    """Of leaves that are no parameters and stay as they are: whether each backward of a line adds
    to what its function has read already."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._known: dict[Key, Held] = {}
        self._looked = 0

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        if record.is_grad or record.spot is None:
            return
        user = user_frame(frame.f_back, self._watched.files)
        if user is None or user.f_code is not record.spot[0]:
            return
        owned = self._watched.ledger.registry.owned()
        leaves = (leaf for node in nodes if (leaf := leaf_of(node)) is not None)
        for leaf in [e for e in leaves if id(e) not in owned and not is_parameter(e)][:MOST]:
            self._look(record, leaf, user)

    def _look(self, record: RawBackward, leaf: Any, user: FrameType) -> None:
        assert record.spot is not None
        key, grad = (record.spot, id(leaf)), grad_of(leaf)
        known = self._known.get(key)
        if known is not None and known.leaf() is leaf and known.count is not None:
            # After the backward before it was (grad, version), and whoever else adds changes that.
            same = grad is not None and (id(grad), version_of(grad)) == (known.grad, known.version)
            known.count = known.count + 1 if same and known.sample.same(leaf) else None
            if known.count == ENOUGH:
                names = Names(self._watched.files).gather(user)
                index = self._watched.table.tensor_index(leaf, names)
                call, at = record.call, located(record.spot)
                known.told = GradientKept(known.at, known.name, index, call, at, ENOUGH, True)
        elif (known is None or known.leaf() is not leaf) and self._looked < LEAVES:
            self._looked += 1
            found = _reading(user, leaf) if grad is None else None
            if found is not None:
                self._known[key] = Held(Ref(leaf), Sample(leaf), 0, 0, *found)

    def ended(self, record: RawBackward) -> None:
        """A backward has run."""
        for (spot, _), each in self._known.items():
            leaf = each.leaf() if spot == record.spot else None
            grad = grad_of(leaf) if leaf is not None else None
            if grad is not None:
                each.grad, each.version = id(grad), version_of(grad)

    def found(self) -> Iterator[GradientKept]:
        for each in self._known.values():
            if each.told is not None and each.count is not None:
                yield replace(each.told, count=each.count)


def _reading(user: FrameType, leaf: Any) -> tuple[str, Location] | None:
    """The leaf's name, and the statement that reads its gradient behind the backward, in the
    innermost loop or function of that."""
    code = user.f_code
    names = {name for name, value in variables(user.f_locals).items() if value is leaf}
    scope = scope_of(parse(code.co_filename), code.co_firstlineno, code.co_name)
    if scope is None or not names:
        return None
    around = [
        node
        for node in ast.walk(scope)
        if isinstance(node, ast.For | ast.While)
        and node.lineno <= user.f_lineno <= (node.end_lineno or 0)
    ]
    inner: ast.AST = max(around, key=lambda node: node.lineno, default=scope)
    for node in ast.walk(inner):
        if not isinstance(node, ast.Assign | ast.AugAssign | ast.Expr | ast.Return):
            continue
        if node.lineno < user.f_lineno or _shows(node):
            continue
        for each in ast.walk(node):
            if isinstance(each, ast.Attribute) and each.attr == "grad":
                base = each.value
                read = isinstance(each.ctx, ast.Load) and isinstance(base, ast.Name)
                if read and isinstance(base, ast.Name) and base.id in names:
                    return base.id, place(node, code.co_filename, code.co_qualname)
    return None


def _shows(node: ast.stmt) -> bool:
    call = node.value if isinstance(node, ast.Expr) else None
    return isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] in _SHOWS
