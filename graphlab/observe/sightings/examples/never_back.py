"""Finds optimizers that step and step without any gradient, while a loss that leads to what they
hold is there and no backward has gone through it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

from graphlab.observe.graph.walk import leaf_of, sequence, walk
from graphlab.observe.lineage.cut import making
from graphlab.observe.notes import RawBackward, Spot, located
from graphlab.observe.optimizers.registry import OptimizerState
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import count_of, grad_fn_of, grad_of, is_tensor
from graphlab.source.files import user_frame
from graphlab.source.objects import variables
from graphlab.trace.examples.sightings import NeverBack
from graphlab.trace.model import Location

# At how many steps it must have been so, how many are looked at, and how many nodes of a graph are
# gone through.
ENOUGH, LOOKS, LARGEST = 3, 6, 20_000
# What a loss is called, where several values could be one.
_WORDS = ("loss", "cost", "objective", "err")


@dataclass(slots=True)
class Bare:
    """An optimizer of the parameters `own` whose steps, the first at `spot`, had no gradient so
    far. name, made, code: of the loss at those of them that were looked at; last: its node at the
    last one. after: the first backward of it that came behind a step."""

    spot: Spot | None
    own: frozenset[int]
    code: CodeType | None = None
    looks: int = 0
    seen: int = 0
    name: str = ""
    made: Location | None = None
    last: int = -1
    after: RawBackward | None = None


class NeverBacks:
    """Looks at the first steps of each optimizer."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._known: dict[int, Bare] = {}
        watched.ledger.on_step.append(self._on_step)

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        for each in self._known.values():
            # A function of its own, an attack say, may call its loss the same.
            here = record.spot is not None and record.spot[0] is each.code
            if here and each.after is None and each.name == record.loss and not record.is_grad:
                leaves = (leaf_of(node) for node in nodes)
                each.after = record if any(id(p) in each.own for p in leaves) else None

    def found(self) -> Iterator[NeverBack]:
        for state in self._watched.ledger.registry.states:
            known = self._known.get(state.at)
            if known is None or known.seen < ENOUGH or state.fed or state.steps < ENOUGH:
                continue
            # One with a way of its own needs no gradient.
            if state.touched or state.by_hand or state.handed_on or state.elsewhere:
                continue
            after = known.after
            yield NeverBack(
                state.at,
                located(known.spot),
                known.name,
                known.made,
                state.steps,
                located(after.spot) if after is not None else None,
                after.call if after is not None else "",
            )

    def _on_step(self, state: OptimizerState, parameters: list[Any], spot: Spot | None) -> bool:
        if state.fed or any(grad_of(each) is not None for each in parameters):
            self._known.pop(state.at, None)
            return True
        known = self._known.get(state.at)
        if known is None:
            own = frozenset(id(each) for each in parameters)
            known = self._known[state.at] = Bare(spot, own)
        user = user_frame(sys._getframe(1), self._watched.files)
        if known.looks < LOOKS and user is not None:
            known.looks += 1
            self._look(known, user)
        return False

    def _look(self, known: Bare, user: FrameType) -> None:
        found: list[tuple[bool, int, str]] = []
        for name, value in variables(user.f_locals).items():
            node = grad_fn_of(value) if is_tensor(value) and count_of(value) == 1 else None
            # One of an earlier turn is another phase's.
            if node is None or sequence(node) <= known.last:
                continue
            if any(id(leaf_of(each)) in known.own for each in walk([node], LARGEST)):
                named = any(word in name.lower() for word in _WORDS)
                found.append((named, sequence(node), name))
        known.last = max([known.last, *(at for _, at, _ in found)])
        if not found:
            return
        name, known.code = max(found)[-1], user.f_code
        if name == known.name or not known.name:
            known.seen += 1
        known.name = name
        if known.made is None:
            known.made = making(user, name, self._watched.files)
