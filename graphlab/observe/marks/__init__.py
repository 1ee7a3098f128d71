"""The marks of one thread: which of the user's lines, and which module, made the nodes from one on.

What the calls inside a module note is mostly known before (hooks/modules/trees.py). Then they are
one entry, folded, until all marks are asked for.
"""

from __future__ import annotations

from bisect import bisect_right
from types import CodeType
from typing import Any, NamedTuple

# At forty marks a step, hundreds of iterations, in a few megabytes.
KEEP_MARKS = 20_000
# Of what is inside a module: how many nodes were made before each mark, whether it begins a call,
# and its module.
Inside = tuple[tuple[int, bool, int | None], ...]


class Mark(NamedTuple):
    """From sequence number `seq` on, nodes were made at (code, offset), inside `module`."""

    seq: int
    code: CodeType | None
    offset: int
    module: int | None


class Marks(list[Any]):
    """In order of `seq`: each a Mark or as the tuple of one, and those of a module's call with what
    is `Inside` of it as a fifth part. `dropped` is how many were let go of; `native`, whether torch
    itself started the thread, as it does to run backward on a GPU."""

    __slots__ = ("_folded", "dropped", "native")

    def __init__(self, native: bool = False) -> None:
        super().__init__()
        self.dropped, self.native = 0, native
        # The place of the first that is folded, -1 for none.
        self._folded = -1

    def fold(self, mark: Any, inside: Inside) -> None:
        """The call that began with `mark`, the last one so far, had these inside."""
        if inside:
            if self._folded < 0:
                self._folded = len(self)
            self.append((*mark, inside))

    def unfolded(self) -> Marks:
        """Itself, with an entry for each mark."""
        first, self._folded = self._folded, -1
        if first >= 0:
            end = len(self)
            self[first:end] = [mark for each in self[first:end] for mark in _marks_of(each)]
        return self

    def trim(self) -> None:
        if len(self) > 2 * KEEP_MARKS:
            gone = len(self) - KEEP_MARKS
            self.dropped += sum(len(each[4]) if len(each) > 4 else 1 for each in self[:gone])
            del self[:gone]
            self._folded = max(self._folded - gone, 0) if self._folded >= 0 else -1

    def last_call(self) -> list[Mark]:
        """The marks of the last call that torch made in a thread of its own: each leaves one that
        is nobody's line as it returns."""
        end = len(self.unfolded())
        while end and self[end - 1][1] is None:
            end -= 1
        start = end
        while start and self[start - 1][1] is not None:
            start -= 1
        return [Mark(*each) for each in self[start:end]]

    def index_of(self, seq: int) -> int:
        """The index of the mark that a node belongs to, -1 if it is older than all."""
        return bisect_right(self, seq, key=_seq) - 1

    def at(self, seq: int) -> Mark | None:
        """The mark that a node belongs to, None if it is older than all."""
        index = self.index_of(seq)
        if index < 0:
            return None
        found = self[index]
        if len(found) > 4:
            within = _marks_of(found)
            place = bisect_right(within, seq, key=_seq) - 1
            found = within[place] if place >= 0 else found[:4]
        return Mark(*found)


def _marks_of(entry: Any) -> list[Any]:
    if len(entry) == 4:
        return [entry]
    begin, code, offset, _, inside = entry
    return [(begin + n, code, offset if begins else ~offset, m) for n, begins, m in inside]


def _seq(mark: tuple[Any, ...]) -> int:
    return mark[0]
