"""Runs jobs in processes of their own, at most two at a time, and leaves none behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from graphlab.fix import offspring
from graphlab.fix.job import FOLDER, GRACE, Answer, Job
from graphlab.fix.on_ranks import joined
from graphlab.ranks.launch import LAUNCHER

AT_ONCE = 2
_TICK = 0.02
# What Python and torch take to start and the report to be written, on a busy machine.
_START = 60.0
# What ends the command, besides Ctrl-C.
_ENDING = (signal.SIGTERM, signal.SIGHUP)


class _Running(NamedTuple):
    """A job at work, and when it is ended at the latest."""

    process: subprocess.Popen[bytes]
    job: Job
    file: Path
    until: float | None


class Processes:
    """The processes of one command. Use as a context manager: whatever way the block is left, also
    by Ctrl-C, SIGTERM or the end of the terminal, they and all that they have started are gone."""

    def __init__(self) -> None:
        self.folder = Path()
        self._running: dict[int, _Running] = {}
        self._count = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Processes:
        if threading.current_thread() is threading.main_thread():
            for each in _ENDING:
                # What nohup has told to be ignored stays so.
                if signal.getsignal(each) is not signal.SIG_IGN:
                    self._before[each] = signal.signal(each, _leave)
        self.folder = Path(tempfile.mkdtemp(prefix=FOLDER))
        return self

    def __exit__(self, *left: object) -> None:
        # A second Ctrl-C waits until everything is gone.
        held = signal.pthread_sigmask(signal.SIG_BLOCK, {*_ENDING, signal.SIGINT})
        try:
            for running in self._running.values():
                _kill(running)
            shutil.rmtree(self.folder, ignore_errors=True)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
            for each, before in self._before.items():
                signal.signal(each, before)

    def run(self, job: Job) -> Answer:
        """The answer of one job."""
        return next(answer for _, answer in self.run_all([job]))

    def run_all(
        self, jobs: Sequence[Job], began: Callable[[int], None] = lambda at: None
    ) -> Iterator[tuple[int, Answer]]:
        """The answers by the jobs' places, in the order in which they come."""
        waiting = list(enumerate(jobs))
        while waiting or self._running:
            # Ranks are two processes at least, and those of a program's own have one port.
            while waiting and len(self._running) < (1 if waiting[0][1].is_alone else AT_ONCE):
                at, job = waiting.pop(0)
                began(at)
                self._start(at, job)
            done = self._done()
            for at in done:
                yield at, self._answer(at)
            if not done:
                time.sleep(_TICK)

    def _start(self, at: int, job: Job) -> None:
        self._count += 1
        answer = str(self.folder / f"answer-{self._count}.json")
        job = replace(job, answer=answer, command=os.getpid())
        file = self.folder / f"job-{self._count}.json"
        file.write_text(job.dumps(), encoding="utf-8")
        trial, environ = ["-m", "graphlab.fix.trial", str(file)], _environment()
        environ[offspring.VARIABLE] = str(file)
        if job.ranks > 1:
            trial = ["-m", LAUNCHER, "--standalone", "--nproc-per-node", str(job.ranks), *trial]
            environ.setdefault("OMP_NUM_THREADS", "1")
        process = subprocess.Popen(
            [sys.executable, *trial],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=environ, start_new_session=True,
        )  # fmt: skip
        limit = time.monotonic() + _START + job.limit + 2 * GRACE if job.limit else None
        self._running[at] = _Running(process, job, file, limit)

    def _done(self) -> list[int]:
        now = time.monotonic()
        return [
            at
            for at, each in self._running.items()
            if each.process.poll() is not None or (each.until is not None and now > each.until)
        ]

    def _answer(self, at: int) -> Answer:
        running = self._running[at]
        process, job = running.process, running.job
        late = process.poll() is None
        _kill(running)
        del self._running[at]
        answers: dict[int, Answer] = {}
        for rank in range(job.ranks):
            with contextlib.suppress(OSError, ValueError):
                text = Path(job.answer_of(rank)).read_text(encoding="utf-8")
                answers[rank] = Answer.loads(text)
        if not answers:
            return Answer(exit_code=process.returncode, left="time" if late else "")
        if job.ranks > 1:
            return joined(answers, job.ranks, process.returncode)
        answer, spawned = answers[0], answers[0].joint
        if spawned is None:
            return answer
        ranks = {rank: replace(answer, trace=each) for rank, each in spawned.traces.items()}
        return joined(ranks, spawned.world, answer.exit_code)


def _environment() -> dict[str, str]:
    home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    environ = dict(os.environ)
    if home in map(os.path.abspath, sys.path) and not home.endswith("site-packages"):
        # A checkout that is not installed: the process must find it as this one did.
        paths = [each for each in (environ.get("PYTHONPATH"),) if each]
        environ["PYTHONPATH"] = os.pathsep.join((*paths, home))
    return environ


def _kill(running: _Running) -> None:
    """End the process and all that it has started, which outlives it where it was left running.
    Each rank has a group of its own."""
    # A rank that has not noted its process yet ends without this.
    running.file.unlink(missing_ok=True)
    groups = [running.process.pid]
    for rank in range(running.job.ranks if running.job.ranks > 1 else 0):
        with contextlib.suppress(OSError, ValueError):
            groups.append(int(Path(running.job.pid_of(rank)).read_text()))
    for group in groups:
        offspring.end_group(group)
    offspring.end_started(str(running.file))
    running.process.wait()


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
