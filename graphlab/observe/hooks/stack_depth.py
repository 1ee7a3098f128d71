"""Keeps the depth of the stack that the program can use what it is unwatched.

Python counts all frames, graphlab's below the program's first one and its trace function's above
its last one as well. The real limit is raised by those, and the program is told, and sets, its own.
"""

from __future__ import annotations

import contextlib
import sys
from types import FrameType

# What the trace function takes at the moment when a call begins, found by trying. Since 3.12 calls
# from C have a count of their own.
_ABOVE = 6 if sys.version_info < (3, 12) else 2


def depth_of(frame: FrameType | None) -> int:
    """How many frames there are from `frame` outwards."""
    count = 0
    while frame is not None:
        count, frame = count + 1, frame.f_back
    return count


class RecursionLimit:
    """`below`: how many frames of graphlab's the program's outermost frame stands on."""

    def __init__(self, below: int) -> None:
        self._more = more = below + _ABOVE
        self._get, self._set = get, raise_to = sys.getrecursionlimit, sys.setrecursionlimit
        self._on = False

        def getrecursionlimit() -> int:
            return get() - (more if self._on else 0)

        def setrecursionlimit(limit: int, /) -> None:
            # A limit that Python refuses is refused in its own words.
            fits = type(limit) is int and 0 < limit < 2**31 - 1 - more
            raise_to(limit + more if fits and self._on else limit)

        self._patches = (
            ("getrecursionlimit", get, getrecursionlimit),
            ("setrecursionlimit", raise_to, setrecursionlimit),
        )

    def start(self) -> None:
        self._set(self._get() + self._more)
        self._on = True
        self.put_in()

    def stop(self) -> None:
        """Safe to call twice. What the program has set is what stays."""
        if not self._on:
            return
        self.take_out()
        self._on = False
        # Where the stack is deeper than that by now, it stays raised.
        with contextlib.suppress(RecursionError, ValueError):
            self._set(self._get() - self._more)

    def put_in(self) -> None:
        """Let the program ask and set its own limit."""
        for name, theirs, mine in self._patches:
            if self._on and getattr(sys, name) is theirs:
                setattr(sys, name, mine)

    def take_out(self) -> None:
        """Give the program Python's own functions, as it does not ask for a limit now."""
        for name, theirs, mine in self._patches:
            if getattr(sys, name) is mine:
                setattr(sys, name, theirs)
