"""Raises the recursion limit by graphlab's own frames, so that the program's does not change.

Python counts graphlab's frames below the program's first one, and a trace function's on top while
there is one, as well. `sys.getrecursionlimit` and `setrecursionlimit` are patched to leave the
difference out.
"""

from __future__ import annotations

import contextlib
import sys
from types import FrameType

# Frames that a trace function needs when a call begins, measured. Since 3.12 calls from C are
# counted apart.
ABOVE = 6 if sys.version_info < (3, 12) else 2
# How many of these are the trace function's alone; the others stay while it is off.
_OWN = 3 if sys.version_info < (3, 12) else 2


def depth_of(frame: FrameType | None) -> int:
    """How many frames there are from `frame` outwards."""
    count = 0
    while frame is not None:
        count, frame = count + 1, frame.f_back
    return count


class RecursionLimit:
    """`below` is how many of graphlab's frames are under the program's outermost one, `above` how
    many are on top of it while its lines are followed."""

    def __init__(self, below: int, above: int) -> None:
        self._more, self._above = below + above, above
        self._get, self._set = get, raise_to = sys.getrecursionlimit, sys.setrecursionlimit
        self._on = False

        def getrecursionlimit() -> int:
            return get() - (self._more if self._on else 0)

        def setrecursionlimit(limit: int, /) -> None:
            # An invalid limit is passed on unchanged, so that Python's own message is raised.
            fits = type(limit) is int and 0 < limit < 2**31 - 1 - self._more
            raise_to(limit + self._more if fits and self._on else limit)

        self._patches = (
            ("getrecursionlimit", get, getrecursionlimit),
            ("setrecursionlimit", raise_to, setrecursionlimit),
        )

    def start(self) -> None:
        self._set(self._get() + self._more)
        self._on = True
        self.put_in()

    def stop(self) -> None:
        """Safe to call twice. A limit that the program has set remains."""
        if not self._on:
            return
        self.take_out()
        self._on = False
        # Python refuses a limit below the current depth: it then stays raised.
        with contextlib.suppress(RecursionError, ValueError):
            self._set(self._get() - self._more)

    def leave_out(self) -> bool:
        """Count nothing on top until `count_again`. False, and nothing is done, where the stack is
        too deep for that."""
        if self._on and self._above:
            try:
                self._set(self._get() - _OWN)
            except (RecursionError, ValueError):
                return False
            self._more -= _OWN
        return True

    def count_again(self) -> None:
        """Undo `leave_out`."""
        if self._on and self._above:
            self._set(self._get() + _OWN)
            self._more += _OWN

    def put_in(self) -> None:
        """Patch the two functions of `sys`."""
        for name, theirs, mine in self._patches:
            if self._on and getattr(sys, name) is theirs:
                setattr(sys, name, mine)

    def take_out(self) -> None:
        """Restore the two functions of `sys`; the limit stays raised."""
        for name, theirs, mine in self._patches:
            if getattr(sys, name) is mine:
                setattr(sys, name, theirs)
