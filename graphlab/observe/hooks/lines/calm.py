"""Learns which of the user's functions are calm: no call of them makes a node or asks torch for
anything that is noted.

Lines of a calm function tell nothing, so they need not be followed. That is checked each time: a
call that was not followed and made a node all the same is the last one of its function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import CodeType, FrameType
from typing import Any

from graphlab.observe.hooks.line_tracer import Following

# How many calls of a function must have been calm, and of how many lines: a shorter one costs less
# than to turn the tracer off and on.
_VOTES, _LEAST = 4, 12


class Calm:
    """`known` holds the functions that are taken to be calm, by the identities of their codes: a
    code computes its hash anew each time."""

    # Without a node for so many lines, the call that is running is taken to be calm.
    PATIENCE = 400

    def __init__(self) -> None:
        self.known: dict[int, CodeType] = {}
        self._never: dict[int, CodeType] = {}
        self._votes: dict[int, int] = {}

    def may(self, code: CodeType) -> bool:
        """Whether no call of this function was seen that is not calm."""
        return id(code) not in self._never

    def outermost(
        self, calls: Sequence[tuple[FrameType, int, int, int]], seq: int, activity: int
    ) -> int:
        """The place of the outermost running call that may be calm, and in which nothing was made
        or asked for so far; -1 for none."""
        for index, (frame, made, asked, _) in enumerate(calls):
            code = frame.f_code
            calm = made == seq and asked == activity and self.may(code)
            if calm and not code.co_flags & _GENERATOR:
                return index
        return -1

    def vote(self, code: CodeType, calm: bool, lines: int) -> None:
        """A call that was followed has ended, after so many lines in it and in what it called."""
        if not calm:
            self.disturbed(code)
        elif lines >= _LEAST and id(code) not in self._never and code.co_flags & _GENERATOR == 0:
            votes = self._votes[id(code)] = self._votes.get(id(code), 0) + 1
            if votes >= _VOTES:
                self.known[id(code)] = code

    def held(self, code: CodeType) -> None:
        """A call that was not followed was calm."""
        if id(code) not in self._never:
            self.known[id(code)] = code

    def disturbed(self, code: CodeType) -> None:
        """A call was not calm: it will always be followed."""
        self._never[id(code)] = code
        self.known.pop(id(code), None)


# inspect.CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR: the frame outlives a call.
_GENERATOR = 0x20 | 0x80 | 0x200


class Dark:
    """A call that is not followed: `code`, the count of nodes as it began, and the frame that
    called."""

    __slots__ = ("back", "code", "own", "seq")

    def __init__(self, own: Following, code: CodeType, seq: int, back: FrameType | None) -> None:
        self.own, self.code, self.seq, self.back = own, code, seq, back


class EndOfFrame:
    """Stands as the `f_trace` of the frame of a Dark call: Python lets go of it as the frame ends,
    by return or by exception, and that calls `ended`. Nothing else may hold it."""

    __slots__ = ("dark", "ended")

    def __init__(self, dark: Dark, ended: Callable[[Dark], None]) -> None:
        self.dark, self.ended = dark, ended

    def __call__(self, frame: FrameType, event: str, arg: Any) -> EndOfFrame:
        return self

    def __del__(self) -> None:
        self.ended(self.dark)
