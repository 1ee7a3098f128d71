"""Processes that run exercises: each run has one of its own, with torch loaded before it is asked.

One process waits at a time. Where the system can fork, a server that has loaded torch forks it;
elsewhere it is started anew, and loads torch while the student writes.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from graphlab.learn.exercise import Exercise
from graphlab.learn.trial import Tried, tried

# An exercise takes about a second; a loop without an end is stopped after this many.
SECONDS = 20.0
# To load torch, on a machine that is busy.
LOADING = 300.0
# Of what a program prints, at most the last so many bytes are shown.
MOST_OUTPUT = 20_000

# torch._dynamo, which an optimizer's first step imports, takes as long as all of torch.
_LOADED = ["torch", "torch._dynamo", "graphlab.observe.program", "graphlab.learn.judged",
           "graphlab.rules.registry", "graphlab.views.terminal.report"]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """A run as its process ended: `tried` is None where it gave no answer; `timed_out`: it was
    stopped. seconds: from the request to the answer."""

    tried: Tried | None
    output: str
    seconds: float
    timed_out: bool = False
    exit_code: int | None = None


class Runner:
    """Runs exercises, one at a time. `close` ends what still waits."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        # macOS has fork too, but its system libraries do not survive it.
        forks = "forkserver" in multiprocessing.get_all_start_methods()
        self._context: Any = multiprocessing.get_context(
            "forkserver" if forks and sys.platform != "darwin" else "spawn"
        )
        if self._context.get_start_method() == "forkserver":
            self._context.set_forkserver_preload(_LOADED)
        self._waiting = self._start()

    def run(self, exercise: Exercise, path: Path) -> Run:
        """Run the file at `path` as an attempt at the exercise."""
        begun = time.monotonic()
        process, connection = self._waiting
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder, "output")
            output.touch()
            found, timed_out = None, False
            # A process that died as it waited has closed its end; it is as one that dies now.
            with contextlib.suppress(OSError, EOFError):
                # Its first word says that torch is loaded.
                connection.poll(LOADING)
                connection.recv()
                begun = time.monotonic()
                file = os.path.abspath(path)
                connection.send((str(output), file, exercise.claims, exercise.name))
                if connection.poll(self._seconds):
                    found = connection.recv()
                else:
                    timed_out = True
            seconds = time.monotonic() - begun
            self._end(process, connection)
            self._waiting = self._start()
            said = output.read_bytes()[-MOST_OUTPUT:].decode(errors="replace")
        return Run(found, said, seconds, timed_out, process.exitcode)

    def close(self) -> None:
        self._end(*self._waiting)

    def _start(self) -> tuple[Any, Connection]:
        connection, other = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(other,), daemon=True)
        process.start()
        other.close()
        return process, connection

    def _end(self, process: Any, connection: Connection) -> None:
        connection.close()
        # One that has answered ends by itself; threads of the program's may keep it.
        process.join(0.2)
        if process.is_alive():
            process.kill()
            process.join()


@contextlib.contextmanager
def running(seconds: float = SECONDS) -> Iterator[Runner]:
    """A runner, whose processes end with the block."""
    runner = Runner(seconds)
    try:
        yield runner
    finally:
        runner.close()


def _serve(connection: Connection) -> None:
    # Ctrl-C reaches every process of the terminal; this one is ended by the one that started it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in _LOADED:
        __import__(name)
    try:
        connection.send(None)
        output, path, claims, name = connection.recv()
    except (EOFError, OSError):
        # Nobody needs it any more.
        return
    target = os.open(output, os.O_WRONLY | os.O_APPEND)
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        stream.flush()
        os.dup2(target, number)
    os.chdir(Path(path).parent)
    try:
        connection.send(tried(path, claims, name))
    except Exception as error:
        said = f"internal error in graphlab: {type(error).__name__}: {error}"
        connection.send(Tried(refused=(said, "this is a bug, please report it")))
