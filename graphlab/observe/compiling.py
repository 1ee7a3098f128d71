"""Steps aside while torch.compile or torch.jit reads the program: it sees torch as it is."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any


class Compiling:
    """Calls `begin` when a compilation starts and `end(guarded)` when the outermost one is over.

    `guarded`: the compiled code compares, at every call, what it meets with what it was made from.

    Rests on Dynamo's compilation callbacks (private to torch), which are there once a program has
    called torch.compile; without them a compiled region is broken at every write in it.
    """

    def __init__(self, begin: Callable[[], None], end: Callable[[bool], None]) -> None:
        self._begin, self._end = begin, end
        self._depth = 0
        self._listening = False
        self._undo: list[Callable[[], None]] = []
        self.seen = 0

    def start(self) -> None:
        import torch

        for name in ("script", "trace"):
            self._wrap(torch.jit, name, self._aside)
        if "torch._dynamo" in sys.modules:
            self._listen()
        else:
            # Dynamo takes seconds to import: only a program that compiles pays for it.
            self._wrap(torch, "compile", self._listening_first)

    def stop(self) -> None:
        while self._undo:
            self._undo.pop()()
        self._listening = False

    def _wrap(self, holder: Any, name: str, around: Callable[..., Any]) -> None:
        original = getattr(holder, name)

        @functools.wraps(original)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            return around(original, *args, **kwargs)

        def undo() -> None:
            if getattr(holder, name) is wrapped:
                setattr(holder, name, original)

        setattr(holder, name, wrapped)
        self._undo.append(undo)

    def _aside(self, original: Any, *args: Any, **kwargs: Any) -> Any:
        self._begin()
        try:
            return original(*args, **kwargs)
        finally:
            self._end(False)

    def _listening_first(self, original: Any, *args: Any, **kwargs: Any) -> Any:
        self._listen()
        return original(*args, **kwargs)

    def _listen(self) -> None:
        """Dynamo's list of callbacks would be emptied by torch._dynamo.reset(): what runs it is
        wrapped instead."""
        if self._listening:
            return
        self._listening = True
        try:
            from torch._dynamo.callback import CompilationCallbackHandler as Handler
        except ImportError:
            return
        for name, around in (
            ("run_start_callbacks", self._started),
            ("run_end_callbacks", self._ended),
        ):
            if hasattr(Handler, name):
                self._wrap(Handler, name, around)

    def _started(self, original: Any, *args: Any, **kwargs: Any) -> Any:
        self.seen += 1
        self._depth += 1
        if self._depth == 1:
            self._begin()
        return original(*args, **kwargs)

    def _ended(self, original: Any, *args: Any, **kwargs: Any) -> Any:
        self._depth = max(0, self._depth - 1)
        if self._depth == 0:
            self._end(True)
        return original(*args, **kwargs)
