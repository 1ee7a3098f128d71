"""Finds tensors that an optimizer holds and that never require grad: no parameters that are frozen,
but plain tensors, which were meant to be trained when the optimizer was given them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from graphlab.observe.names import Names, parameters_of
from graphlab.observe.notes import RawBackward
from graphlab.observe.optimizers.registry import OptimizerState
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Ref, grad_of, is_parameter, requires_grad
from graphlab.source.effects.origins import stores_behind
from graphlab.source.files import user_frame
from graphlab.trace.module_sightings import HeldPlain
from graphlab.trace.values import Location

# So many backwards are looked at, and in so many with a step since each must be so.
LOOKS, ENOUGH = 8, 3


@dataclass(slots=True)
class Plain:
    """A tensor that an optimizer holds; seen: after how many of its steps."""

    ref: Ref
    state: OptimizerState
    steps: int = 0
    seen: int = 0


class HeldPlains:
    """Looks at each of the first backwards what the optimizers hold."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._left = LOOKS
        self._known: dict[int, Plain] = {}
        self._asked: set[int] = set()
        self._found: list[HeldPlain] = []

    def found(self) -> Iterator[HeldPlain]:
        yield from self._found

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        if record.is_grad or self._left <= 0:
            return
        self._left -= 1
        for state, optimizer in self._watched.ledger.registry.followed():
            for each in parameters_of(optimizer):
                if is_parameter(each) or id(each) in self._asked:
                    continue
                if requires_grad(each) or grad_of(each) is not None:
                    # It is trained at times, or a loop of its own gives it gradients.
                    self._asked.add(id(each))
                    self._known.pop(id(each), None)
                    continue
                known = self._known.get(id(each))
                if known is None or known.ref() is not each:
                    known = self._known[id(each)] = Plain(Ref(each), state)
                if state.steps > known.steps:
                    known.steps, known.seen = state.steps, known.seen + 1
                    if known.seen == ENOUGH:
                        self._note(each, state, frame)

    def _note(self, tensor: Any, state: OptimizerState, frame: FrameType) -> None:
        names = Names(self._watched.files).gather(frame)
        known = names.tensors.get(id(tensor))
        made = self._made(known.name, frame) if known is not None else None
        if known is None or (made is not None and "requires_grad" in made.code):
            # Whether it does is decided where it is made.
            return
        place = self._watched.ledger.registry.place_of(tensor, names)
        self._found.append(HeldPlain(state.at, place, made))

    def _made(self, name: str, frame: FrameType) -> Location | None:
        """The one line that gave it its name."""
        user = user_frame(frame.f_back, self._watched.files)
        stores = stores_behind(name, user, self._watched.files) if user is not None else []
        lines = {each.at: each for each in stores if not each.adds and each.value is not None}
        one = next(iter(lines.values())) if len(lines) == 1 else None
        return one.at if one is not None and isinstance(one.value, ast.Call) else None
