"""Sees to it that a rank which is told to end leaves its trace.

A launcher sends SIGTERM to the other ranks when one has failed. The main thread may be waiting
inside torch then, where no handler of Python's runs; what does run at once is the part that writes
to a file descriptor, on which a thread waits. gloo aborts where two ranks call different
collectives, and abort() waits for nothing but a handler of C's, which ctypes makes of a function.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import Any

from graphlab.observe.notes import located
from graphlab.observe.observation import Observation
from graphlab.observe.tensors import Unnoticed
from graphlab.source.files import user_frame
from graphlab.trace.model import Failure, Trace

_SIGNAL = signal.SIGTERM
_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_int)
# Where writing the trace after abort() does not end, the process does, after so many seconds.
_PATIENCE = 60


class Termination:
    """Calls `report(trace)` when SIGTERM comes, and then ends the process by that signal; as well
    before the process ends by abort(). A program with a handler of its own is left to it."""

    def __init__(self, observation: Observation, report: Callable[[Trace], None]) -> None:
        self._observation, self._report = observation, report
        self._main = threading.get_ident()
        self._read, self._write = -1, -1
        self._wakeup = -1
        self._over = False
        self._on_abort = _HANDLER(self._aborted)
        self._aborts = False

    def start(self) -> None:
        """To be called from the main thread, before the program begins."""
        if threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(_SIGNAL) is not signal.SIG_DFL:
            return
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        signal.signal(_SIGNAL, self._on_signal)
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        threading.Thread(target=self._wait, name="graphlab-termination", daemon=True).start()
        free = signal.getsignal(signal.SIGABRT) is signal.SIG_DFL
        if free and not faulthandler.is_enabled():
            self._aborts = _handle_in_c(signal.SIGABRT, self._on_abort)

    def program_ended(self) -> None:
        """From now on the signal is ignored: the report is being written."""
        self._over = True
        if self._write >= 0 and signal.getsignal(_SIGNAL) == self._on_signal:
            signal.signal(_SIGNAL, signal.SIG_IGN)

    def stop(self) -> None:
        """Restore what was there before. Safe to call twice."""
        self._over = True
        if self._aborts:
            self._aborts = not _handle_in_c(signal.SIGABRT, None)
        if self._write < 0:
            return
        if signal.getsignal(_SIGNAL) in (signal.SIG_IGN, self._on_signal):
            signal.signal(_SIGNAL, signal.SIG_DFL)
        before = signal.set_wakeup_fd(-1)
        if before != self._write:
            signal.set_wakeup_fd(before)
        write, self._write = self._write, -1
        with contextlib.suppress(OSError):
            os.close(write)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """In the main thread: nothing of the program's runs any more."""
        if self._over:
            return
        with contextlib.suppress(OSError):
            os.write(self._write, bytes([_SIGNAL]))
        while not self._over:
            threading.Event().wait(1)

    def _wait(self) -> None:
        while True:
            try:
                told = os.read(self._read, 64)
            except OSError:
                return
            if not told:
                os.close(self._read)
                return
            if _SIGNAL in told and not self._over:
                self._over_the_program()
                return

    def _aborted(self, number: int) -> None:
        """In any thread; the process ends as this returns."""
        if self._over:
            return
        self._over = True
        with contextlib.suppress(Exception):
            signal.alarm(_PATIENCE)
            frame = sys._current_frames().get(self._main)
            trace = _interrupted(self._observation, frame, signal.SIGABRT, "ended by abort()")
            self._report(trace)

    def _over_the_program(self) -> None:
        try:
            frame = sys._current_frames().get(self._main)
            self._report(_interrupted(self._observation, frame, _SIGNAL, "ended by the launcher"))
        except Exception:
            if os.environ.get("GRAPHLAB_DEBUG"):
                import traceback

                traceback.print_exc()
        finally:
            _end_by_signal()


def _interrupted(
    observation: Observation, frame: FrameType | None, number: signal.Signals, said: str
) -> Trace:
    """What was observed until now, with the line that runs as that of the exception."""
    trace = observation.trace
    with Unnoticed():
        user = user_frame(frame, observation.files)
        at = located((user.f_code, user.f_lasti)) if user is not None else None
    iteration = trace.iterations - 1 if trace.iterations else None
    failure = Failure(number.name, said, at, iteration)
    sources = dict(trace.sources)
    if at is not None and at.file not in sources:
        import linecache

        sources[at.file] = "".join(linecache.getlines(at.file))
    return replace(trace, outcome="interrupted", exception=failure, sources=sources)


def _handle_in_c(number: signal.Signals, handler: Any) -> bool:
    """Set the process's handler past Python, which would call one only in the main thread."""
    try:
        libc: Any = ctypes.CDLL(None)
        libc.signal.restype = ctypes.c_void_p
        libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
        libc.signal(int(number), ctypes.cast(handler, ctypes.c_void_p) if handler else None)
    except (OSError, AttributeError):
        return False
    return True


def _end_by_signal() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    # Python sets handlers in the main thread alone, which may be waiting.
    with contextlib.suppress(Exception):
        _handle_in_c(_SIGNAL, None)
        os.kill(os.getpid(), _SIGNAL)
    os._exit(128 + _SIGNAL)
