"""Hears of exceptions that end a thread of the program: they never reach the session."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any


class ThreadErrors:
    """Tells `ended` of the exception, before the program's own hook prints it.

    Rests on `threading._make_invoke_excepthook`, which is private to Python: `threading.excepthook`
    would be another object for the program to see. Where it is missing, such errors go unheard.
    """

    def __init__(self, ended: Callable[[BaseException], None]) -> None:
        self._ended = ended
        self._before: Any = None

    def start(self) -> None:
        make: Any = getattr(threading, "_make_invoke_excepthook", None)
        if make is None or self._before is not None:
            return
        self._before = make
        ended = [self._ended]
        self._listening = ended

        def make_invoke() -> Callable[[threading.Thread], None]:
            invoke = make()

            def told(thread: threading.Thread) -> None:
                error = sys.exc_info()[1]
                if ended and error is not None and not isinstance(error, SystemExit):
                    ended[0](error)
                del error
                invoke(thread)

            return told

        self._mine = make_invoke
        setattr(threading, "_make_invoke_excepthook", make_invoke)  # noqa: B010

    def stop(self) -> None:
        """Safe to call twice. Threads that began meanwhile are left with a hook that is deaf."""
        if self._before is None:
            return
        self._listening.clear()
        if getattr(threading, "_make_invoke_excepthook", None) is self._mine:
            setattr(threading, "_make_invoke_excepthook", self._before)  # noqa: B010
        self._before = None
