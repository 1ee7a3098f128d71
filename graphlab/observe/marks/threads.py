"""The marks of all threads: which of them made a node, and at which line."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import get_ident
from types import CodeType

from graphlab.observe.marks import Mark, Marks
from graphlab.source.places import locate

Spot = tuple[CodeType, int]


class ThreadMarks:
    """Torch counts the nodes of each thread by itself, from 0."""

    def __init__(self) -> None:
        # Of each thread that is followed; and of those that have ended, the last ones.
        self._marks: dict[int, Marks] = {}
        self._ended: deque[Marks] = deque(maxlen=32)
        # This thread's count of nodes.
        self.now: Callable[[], int] = lambda: 0
        self.no_counter = False

    def begin_marks(self, thread: int, native: bool = False) -> Marks:
        """The marks of a thread that begins to be followed. A later one may have the identity of
        one that has ended."""
        before = self._marks.get(thread)
        if before is not None:
            self._ended.append(before)
        self._marks[thread] = Marks(native)
        return self._marks[thread]

    def in_engine(self) -> Marks:
        """The marks of the thread that torch itself started; none where several of those have
        any."""
        found = [each.unfolded() for each in self._marks.values() if each.native and each]
        return found[0] if len(found) == 1 else _NONE

    @property
    def marks(self) -> Marks:
        """The marks of the thread that asks, or of the first one if it has none."""
        return self._own().unfolded()

    def _own(self) -> Marks:
        own = self._marks.get(get_ident())
        return own if own is not None else next(iter(self._marks.values()), _NONE)

    def count(self) -> int:
        """How many marks were noted so far in this thread."""
        marks = self.marks
        return marks.dropped + len(marks)

    def holding(self, seq: int) -> Marks | None:
        """The marks of the thread in which the node `seq` was made. Each thread counts its nodes
        from 0, so more than one may have such a node: then it is this thread's, if that has made as
        many, and otherwise not known."""
        own = self._own()
        if not self.several or own.dropped or (own and own[0][0] <= seq < self.now()):
            return own
        others = [
            each
            for each in (*self._marks.values(), *self._ended)
            if each is not own and each and each[0][0] <= seq < each[-1][0]
        ]
        return others[0] if len(others) == 1 else None if others else own

    @property
    def several(self) -> bool:
        """Whether more than one thread was followed."""
        return len(self._marks) + len(self._ended) > 1

    def last_seq(self) -> int:
        marks = self._own()
        return marks[-1][0] if marks else 0

    def mark_of(self, seq: int) -> Mark | None:
        """Where the node with this sequence number was made, if that is still remembered."""
        marks = self.holding(seq)
        return marks.at(seq) if marks is not None and not self.no_counter else None

    def line_of(self, seq: int) -> Spot | None:
        """As `mark_of`, without the module; None where the line is not the program's."""
        mark = self.mark_of(seq)
        return (mark.code, mark.offset) if mark is not None and mark.code is not None else None

    def statement_in(self, code: CodeType, seq: int) -> Spot | None:
        """The statement of the function `code` that was running, itself or in what it had called,
        when the node `seq` was made; None where no call of that function was at work then."""
        marks = self.holding(seq)
        at = marks.unfolded().index_of(seq) if marks is not None else -1
        if marks is None or at < 0 or self.no_counter:
            return None
        before = next((m for m in reversed(marks[: at + 1]) if m[1] is code), None)
        if before is not None and before is marks[at]:
            return code, before[2]
        after = next((m for m in marks[at + 1 :] if m[1] is code), None)
        if before is None or after is None:
            return None
        # The call returned to the statement it was made from, unless the function had ended before.
        same = locate(code, before[2]).line == locate(code, after[2]).line
        return (code, after[2]) if same else None

    def last_of_mark(self, seq: int) -> bool:
        """Whether no later node was made before the program moved to another line."""
        marks = self.holding(seq)
        if marks is None:
            return False
        index = marks.unfolded().index_of(seq) + 1
        return index < len(marks) and marks[index][0] == seq + 1


_NONE = Marks()
