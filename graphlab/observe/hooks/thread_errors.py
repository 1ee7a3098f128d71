"""Reports exceptions that end other threads of the program, as they never reach the session."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

import torch

_TORCH = os.path.dirname(torch.__file__) + os.sep


class ThreadErrors:
    """Calls `ended` with the exception, before `threading.excepthook` prints it.

    Rests on `threading._make_invoke_excepthook`, which is private to Python: replacing
    `threading.excepthook` would be visible to the program. Without it, such errors go unreported.
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

            def report(thread: threading.Thread) -> None:
                error = sys.exc_info()[1]
                if ended and error is not None and not isinstance(error, SystemExit):
                    ended[0](error)
                del error
                invoke(thread)

            return report

        self._mine = make_invoke
        setattr(threading, "_make_invoke_excepthook", make_invoke)  # noqa: B010

    def stop(self) -> None:
        """Safe to call twice. Threads that are still running keep a hook that does nothing."""
        if self._before is None:
            return
        self._listening.clear()
        if getattr(threading, "_make_invoke_excepthook", None) is self._mine:
            setattr(threading, "_make_invoke_excepthook", self._before)  # noqa: B010
        self._before = None


def passed_through_torch(error: BaseException) -> bool:
    """Whether a frame of torch's is in the exception's traceback."""
    return any(
        frame.f_code.co_filename.startswith(_TORCH)
        for frame, _ in traceback.walk_tb(error.__traceback__)
    )
