"""Finds tensors that the program steps itself with a gradient that it never clears."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from types import FrameType
from typing import Any, NamedTuple

from graphlab.observe.graph.walk import leaf_of
from graphlab.observe.names import Names
from graphlab.observe.notes import RawBackward, RawWrite, Spot, located
from graphlab.observe.optimizers.vectors import Sample
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Ref, grad_of, storage_key, version_of
from graphlab.source.effects.assignments import scope_of
from graphlab.source.effects.stores import last_part
from graphlab.source.files import user_frame
from graphlab.source.places import parse, place, statement_at
from graphlab.trace.model import Location
from graphlab.trace.sightings import GradientKept

# At how many backwards the old gradient must have been there, and how many tensors are looked at.
ENOUGH, MOST = 3, 64
# Among how many of the last events the line that wrote to one is searched for.
BACK = 512

Key = tuple[Spot | None, str]


class Seen(NamedTuple):
    """A leaf when a backward had run: its own values, and its gradient's identity, version and
    values, since `w.grad.data.zero_()` leaves the version as it was."""

    leaf: Ref
    sample: Sample
    grad: int
    version: int
    gradient: Sample

    def kept(self, grad: Any) -> bool:
        return (
            grad is not None
            and (id(grad), version_of(grad)) == (self.grad, self.version)
            and self.gradient.same(grad)
        )


class KeptGradients:
    """Of leaves that no optimizer holds: whether the program changed one between two backwards of a
    line, reads its gradient, and left that as it was."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._reached: list[Any] = []
        self._seen: dict[int, Seen] = {}
        self._kept: Counter[Key] = Counter()
        self._cleared: set[Key] = set()
        self._found: dict[Key, GradientKept] = {}

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        self._reached = []
        if record.is_grad or record.spot is None:
            return
        owned = self._watched.ledger.registry.owned()
        leaves = [leaf for node in nodes if (leaf := leaf_of(node)) is not None]
        self._reached = [leaf for leaf in leaves if id(leaf) not in owned][:MOST]
        names: Names | None = None
        for leaf in self._reached:
            seen, grad = self._seen.get(id(leaf)), grad_of(leaf)
            if seen is None or seen.leaf() is not leaf or seen.sample.same(leaf):
                continue
            names = names or Names(self._watched.files).gather(frame)
            named = names.tensors.get(id(leaf))
            if named is None:
                continue
            key = (record.spot, named.name)
            if not seen.kept(grad):
                self._cleared.add(key)
                continue
            self._kept[key] += 1
            if key not in self._found:
                self._note(key, record, frame, leaf, names)

    def _note(
        self, key: Key, record: RawBackward, frame: FrameType, leaf: Any, names: Names
    ) -> None:
        index = self._watched.table.tensor_index(leaf, names)
        user = user_frame(frame.f_back, self._watched.files)
        at = update_of(key[1], user) if user is not None else None
        at = at or self._written_at(leaf)
        if user is not None and at is not None:
            code = user.f_code
            here = statement_at(code.co_filename, user.f_lineno)
            call_at = place(here, code.co_filename, code.co_qualname) if here is not None else None
            self._found[key] = GradientKept(at, key[1], index, record.call, call_at, 0)

    def _written_at(self, leaf: Any) -> Location | None:
        """The statement that last wrote to a leaf, in whichever function, if it reads a gradient:
        the step() of an optimizer of the program's own."""
        key = storage_key(leaf)
        for event in islice(reversed(self._watched.log.events), BACK):
            if isinstance(event, RawWrite) and any(one[0] == key for one in event.tensors):
                at = located(event.spot)
                node = statement_at(at.file, at.line) if at is not None else None
                reads = node is not None and any(map(_reads_gradient, ast.walk(node)))
                return place(node, at.file, at.function) if at and node and reads else None
        return None

    def ended(self, record: RawBackward) -> None:
        """A backward has run."""
        if not self._reached:
            return
        reached, self._reached = self._reached, []
        for leaf in reached:
            grad = grad_of(leaf)
            if grad is not None:
                self._seen[id(leaf)] = Seen(
                    Ref(leaf), Sample(leaf), id(grad), version_of(grad), Sample(grad)
                )

    def found(self) -> Iterator[GradientKept]:
        for key, each in self._found.items():
            if key not in self._cleared and self._kept[key] >= ENOUGH:
                yield GradientKept(
                    each.at, each.name, each.tensor, each.call, each.call_at, self._kept[key]
                )


def update_of(name: str, frame: FrameType) -> Location | None:
    """The statement of the frame's function that reads ``.grad`` of what is called `name`: of a
    loop's variable only where it also writes to that."""
    code = frame.f_code
    scope = scope_of(parse(code.co_filename), code.co_firstlineno, code.co_name)
    if scope is None:
        return None
    last = last_part(ast.parse(name, mode="eval").body) if _is_code(name) else name
    loops = {
        each.id
        for node in (ast.walk(scope) if scope is not None else ())
        if isinstance(node, ast.For)
        for each in ast.walk(node.target)
        if isinstance(each, ast.Name)
    }
    for node in ast.walk(scope):
        if not isinstance(node, ast.Assign | ast.AugAssign | ast.Expr):
            continue
        for each in ast.walk(node):
            if not isinstance(each, ast.Attribute) or not _reads_gradient(each):
                continue
            base = last_part(each.value)
            looped = base in loops and base in _written(node)
            if base and (looped or (base == last and base not in loops)):
                return place(node, code.co_filename, code.co_qualname)
    return None


def _reads_gradient(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr == "grad"
        and not isinstance(node.ctx, ast.Store)
    )


def _written(node: ast.Assign | ast.AugAssign | ast.Expr) -> set[str]:
    """The variables that a statement writes to: ``w`` of ``w.data -= …`` and of ``w.sub_(…)``."""
    if isinstance(node, ast.Assign):
        targets: list[ast.expr] = node.targets
    elif isinstance(node, ast.AugAssign):
        targets = [node.target]
    elif isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute):
        targets = [node.value.func.value] if node.value.func.attr.endswith("_") else []
    else:
        targets = []
    found = set()
    for each in targets:
        inner = each
        while isinstance(inner, ast.Attribute | ast.Subscript):
            inner = inner.value
        if isinstance(inner, ast.Name):
            found.add(inner.id)
    return found


def _is_code(name: str) -> bool:
    try:
        ast.parse(name, mode="eval")
    except SyntaxError:
        return False
    return True
