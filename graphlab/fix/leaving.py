"""Leaves a program that has run far enough, as Ctrl-C would, or that nobody waits for."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import NoReturn

from graphlab.fix import offspring
from graphlab.fix.job import FOLDER, GRACE, Job
from graphlab.observe.observation import Observation
from graphlab.observe.tensors import Unnoticed
from graphlab.trace.model import Trace

_TICK = 0.05
# The signal is sent again in case the program has caught it and gone on.
_AGAIN = 2.0


def end_with(file: str, command: int, launched: bool) -> None:
    """End this process and all that it has started when nobody waits for its answer any more: when
    `file` is gone, or the process of the command, which has started it, or the launcher of a rank.
    """
    launcher = os.getppid()

    def awaited() -> bool:
        parent = os.getppid()
        if not launched:
            return parent == command
        return parent == launcher and _parent_of(parent) in (str(command), "")

    def watch() -> None:
        while os.path.exists(file) and awaited():
            time.sleep(_TICK)
        offspring.end_started(file)
        folder = os.path.dirname(file)
        if os.path.basename(folder).startswith(FOLDER):
            # The command was killed, and left it.
            shutil.rmtree(folder, ignore_errors=True)
        offspring.end_group(0)

    threading.Thread(target=watch, name="graphlab-end", daemon=True).start()


def end(code: int) -> NoReturn:
    """End this process when the program has done what it left to be done at exit: it removes its
    temporary folders there, and ends what it has started. That may not take for ever."""
    threading.Thread(target=_end_late, args=(code,), name="graphlab-end", daemon=True).start()
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    os._exit(code)


def _end_late(code: int) -> None:
    time.sleep(GRACE)
    os._exit(code)


def _parent_of(process: int) -> str:
    """Of a process, where Linux tells it."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1]
    except OSError:
        return ""


class Leaving:
    """A thread beside the program. `leave_hard(trace)` is called where the program does not go when
    it is told to; the process ends with that."""

    def __init__(
        self, job: Job, rank: int | None, code: CodeType, leave_hard: Callable[[Trace], None]
    ) -> None:
        self.why = ""
        self._rank = rank
        self._job, self._code, self._leave_hard = job, code, leave_hard
        self._observation: Observation | None = None
        self._began = time.monotonic()
        self._main = threading.get_ident()
        self._process = os.getpid()

    def start(self, observation: Observation) -> None:
        """To be called in the main thread, just before the program begins."""
        self._observation = observation
        self._began = time.monotonic()
        # A shell's background job has it ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Thread(target=self._watch, name="graphlab-leaving", daemon=True).start()

    @property
    def seconds(self) -> float:
        """Since the program began."""
        return time.monotonic() - self._began

    def _watch(self) -> None:
        told = 0.0
        first = 0.0
        while True:
            time.sleep(_TICK)
            self.why = self.why or self._reason()
            if not self.why or not self._at_work():
                continue
            now = time.monotonic()
            first = first or now
            if now - first > GRACE:
                self._force()
            if now - told > _AGAIN:
                told = now
                signal.pthread_kill(self._main, signal.SIGINT)

    def _reason(self) -> str:
        job, observation = self._job, self._observation
        if job.limit is not None and self.seconds > job.limit:
            return "time"
        if job.until is None or observation is None or self.seconds < job.at_least:
            return ""
        far = observation.iterations.done > job.until
        return "iterations" if far and self._all_are() else ""

    def _all_are(self) -> bool:
        """Whether all ranks have run far enough, as this one has: they wait for each other."""
        if self._rank is None:
            return True
        Path(f"{self._job.answer}.far-{self._rank}").touch()
        return all(
            os.path.exists(f"{self._job.answer}.far-{each}") for each in range(self._job.ranks)
        )

    def _at_work(self) -> bool:
        """Whether the program is running, and not what prints and reports its end."""
        frame = sys._current_frames().get(self._main)
        while frame is not None and frame.f_code is not self._code:
            frame = frame.f_back
        return frame is not None

    def _force(self) -> None:
        with contextlib.suppress(Exception):
            assert self._observation is not None
            with Unnoticed():
                self._leave_hard(self._observation.trace)
        os._exit(1)
