"""Remembers which parameters the backwards of one line reached."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from graphlab.observe.notes import RawBackward

# For how many backwards of a line it is remembered what became of their gradients.
REMEMBERED = 64


class Line:
    """The backwards of one line."""

    __slots__ = ("_last", "_parts", "records")

    def __init__(self) -> None:
        # The first ones that reached an optimizer's parameter.
        self.records: list[RawBackward] = []
        self._last: tuple[int, ...] = ()
        self._parts: list[Sequence[int]] = []

    def reaches(self, record: RawBackward, parts: list[Sequence[int]]) -> None:
        """Note which parameters a backward has reached, as the same object as for the last one
        where they are the same."""
        if parts != self._parts:
            self._parts = parts
            whole = tuple(chain.from_iterable(parts))
            if self._last != whole:
                self._last = whole
        record.reached = self._last
        if self._last and not record.is_grad and len(self.records) < REMEMBERED:
            self.records.append(record)
            record.remembered = True
