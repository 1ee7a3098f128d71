"""Notices calls that draw all the weights of an optimizer anew in each epoch, as a
``model.reset_parameters()`` in the loop does: what was trained is gone each time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

from graphlab.observe.names import parameters_of
from graphlab.observe.notes import RawBackward
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import shape_of, storage_key
from graphlab.source.effects.idle.begun_again import BegunAgain, drawn_again
from graphlab.source.files import user_frames
from graphlab.trace.module_sightings import DrawnAnew

# How often it must have been so, after steps of their own each time, and how many lines are read.
ENOUGH, LINES = 2, 256
_DRAWS = ("uniform_", "normal_")


@dataclass(slots=True)
class Redraw:
    """A call in a loop over epochs. taken: how many steps there had been when it ran last; drawn:
    the storages that it drew anew then. times: how often these were all weights of an optimizer."""

    text: BegunAgain
    taken: int = 0
    drawn: set[Any] = field(default_factory=set)
    times: int = 0
    first: int | None = None


class Redraws:
    """Told of each write. What is a vector, such as a bias, may be set to zero instead."""

    def __init__(self, watched: Watched) -> None:
        self._registry, self._files = watched.ledger.registry, watched.files
        self._lines: dict[tuple[CodeType, int], Redraw | None] = {}
        # By the storages of the matrices that an optimizer has: the place of its first parameter.
        self._owned: list[tuple[set[Any], int]] = []
        self._at = 0
        watched.log.on_write.append(self._wrote)

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing: the writes are seen."""

    def _wrote(self, tensors: Sequence[Any], spot: Any, by: str, frame: FrameType) -> None:
        if not any(word in by for word in _DRAWS):
            return
        taken = self._registry.taken()
        mine = self._redraw(frame) if taken else None
        if mine is None:
            return
        if mine.taken != taken:
            mine.taken, mine.drawn = taken, set()
        before = {*mine.drawn}
        mine.drawn.update(map(storage_key, tensors))
        if taken != self._at:
            self._at, self._owned = taken, [*self._matrices()]
        for wanted, first in self._owned:
            if wanted <= mine.drawn and not wanted <= before:
                mine.times, mine.first = mine.times + 1, first

    def _redraw(self, frame: FrameType) -> Redraw | None:
        """Of the outermost of the lines that run which is such a call."""
        found = None
        for each in user_frames(frame, self._files):
            spot = each.f_code, each.f_lineno
            if spot not in self._lines:
                if len(self._lines) >= LINES:
                    return None
                text = drawn_again(each.f_code.co_filename, each.f_lineno)
                self._lines[spot] = Redraw(text) if text is not None else None
            found = self._lines[spot] or found
        return found

    def _matrices(self) -> Iterator[tuple[set[Any], int]]:
        for state, optimizer in self._registry.followed():
            several = [each for each in parameters_of(optimizer) if len(shape_of(each)) > 1]
            if several and state.steps:
                place = self._registry.place_of(several[0], None)
                yield {storage_key(each) for each in several}, place

    def found(self) -> Iterator[DrawnAnew]:
        for each in self._lines.values():
            if each is not None and each.times >= ENOUGH and each.first is not None:
                text = each.text
                yield DrawnAnew(text.at, text.loop, text.name, each.first)
