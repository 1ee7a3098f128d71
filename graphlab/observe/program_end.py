"""Does what Python does when a program ends: traceback, exit code, waiting for threads."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from types import TracebackType

from graphlab.source.files import PACKAGE


def flush() -> None:
    """What the program has printed comes before what is printed about it. Streams that cannot be
    flushed, closed ones or none at all, are left as they are: Python tries again at its end."""
    for name in ("stderr", "stdout", "__stdout__"):
        with contextlib.suppress(Exception):
            getattr(sys, name).flush()


def exit_code(error: BaseException | None) -> int:
    """Print what Python prints for `error` at top level, and give Python's exit code."""
    if error is None:
        return 0
    if isinstance(error, SystemExit):
        return _left(error)
    strip_own_frames(error)
    sys.last_type, sys.last_value = type(error), error
    sys.last_traceback = error.__traceback__
    if sys.version_info >= (3, 12):
        sys.last_exc = error
    hook = getattr(sys, "excepthook", None)
    second: BaseException | None = None
    if hook is None:
        _say("sys.excepthook is missing\n")
        _display(error)
    else:
        try:
            hook(type(error), error, error.__traceback__)
        except BaseException as raised:
            second = raised
    if isinstance(second, SystemExit):
        return _left(second)
    if second is not None:
        strip_own_frames(second)
        _say("Error in sys.excepthook:\n")
        _display(second)
        _say("\nOriginal exception was:\n")
        _display(error)
    return 130 if isinstance(error, KeyboardInterrupt) else 1


def wait_for_threads() -> None:
    """What Python does before it ends: tell executors and the like, by the functions that they
    have registered, then wait for every thread that is no daemon. Only once in a process: threads
    that ask find the main thread ended.

    Joining the threads would not do: an executor's wait for work, and others until the main thread
    is no longer alive.
    """
    shutdown = getattr(threading, "_shutdown", None)
    if shutdown is None:
        return
    try:
        shutdown()
    except BaseException as error:
        # Ctrl-C: Python says so, waits no longer, and ends as it would have.
        strip_own_frames(error)
        _say(f"Exception ignored in: {threading!r}\n")
        _display(error)


def hold_time_limits() -> list[tuple[int, float, float]]:
    """Stop the timers that the program has set and not cancelled: its report would take the signal
    of one, which without graphlab finds no process any more. Returns what to put back."""
    names = ("ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF")
    timers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    return [(each, *signal.setitimer(each, 0)) for each in timers]


def put_back_time_limits(held: list[tuple[int, float, float]]) -> None:
    """Start them again, for what the program has left to be done at exit."""
    for timer, left, interval in held:
        if left:
            signal.setitimer(timer, left, interval)


def _left(error: SystemExit) -> int:
    """Numbers go through whatever their size: it is Python that makes an exit code of them."""
    try:
        code = error.code
    except Exception:
        code = error
    if code is None:
        return 0
    if isinstance(code, int):
        return code
    # As Python does it: a text that cannot be made or written is no other error.
    with contextlib.suppress(BaseException):
        if getattr(sys, "stderr", None) is None:
            os.write(2, str(code).encode(errors="backslashreplace"))
        else:
            sys.stderr.write(str(code))
    _say("\n")
    return 1


def _display(error: BaseException) -> None:
    with contextlib.suppress(Exception):
        sys.__excepthook__(type(error), error, error.__traceback__)


def _say(text: str) -> None:
    """To sys.stderr, or past it where it cannot take it."""
    try:
        sys.stderr.write(text)
    except Exception:
        with contextlib.suppress(OSError):
            os.write(2, text.encode())


def strip_own_frames(error: BaseException | None) -> None:
    """Take graphlab's frames out of a traceback, so that it reads as it would unwatched."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        error.__traceback__ = _without_own(error.__traceback__)
        error = error.__cause__ or error.__context__


def _without_own(tb: TracebackType | None) -> TracebackType | None:
    own = os.path.join(PACKAGE, "observe", "")
    while tb is not None and tb.tb_frame.f_code.co_filename.startswith(own):
        tb = tb.tb_next
    each = tb
    while each is not None:
        after = each.tb_next
        while after is not None and after.tb_frame.f_code.co_filename.startswith(own):
            after = after.tb_next
        each.tb_next = after
        each = after
    return tb
