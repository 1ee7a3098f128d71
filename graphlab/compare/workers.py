"""Worker processes, one for each loop: torch is loaded once, and loops share no state.

A process lives until `started` is left, so that the timings of all loops can take turns.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from graphlab.errors import UserError
from graphlab.language import message


@dataclass(frozen=True, slots=True)
class Task:
    """Call `function(*arguments)` in the process of `worker`. All of it has to be picklable."""

    worker: Worker
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


class Worker:
    """A process, started with its first task."""

    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        self._threads = threads
        self._process: Any = None
        self.connection: Connection | None = None

    def ask(self, task: Task) -> Connection:
        if self.connection is None:
            context = multiprocessing.get_context("spawn")
            self.connection, other = context.Pipe()
            self._process = context.Process(target=_serve, args=(other, self._threads), daemon=True)
            self._process.start()
            other.close()
        self.connection.send((task.function, task.arguments))
        return self.connection

    def answer(self) -> Any:
        """What the function returned. Raises UserError for one raised there, or a lost process."""
        assert self.connection is not None
        try:
            kind, value = self.connection.recv()
        except EOFError:
            self._process.join(5)
            raise UserError(
                message("usage.compare.process", name=self.name, code=self._process.exitcode),
                message("usage.help.its_output", command=f"graphlab run {self.name}"),
            ) from None
        if kind == "refused":
            raise UserError(*value)
        if kind == "failed":
            raise RuntimeError(f"while {self.name} was measured:\n{value}")
        return value

    def end(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.join()


@contextmanager
def started(names: Sequence[str], threads: int) -> Iterator[list[Worker]]:
    """A worker for each name; their processes end with the block.

    `threads` is the most that PyTorch computes in, for each process.
    """
    workers = [Worker(name, threads) for name in names]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.end()


def perform(tasks: Sequence[Task], at_once: int, began: Callable[[Task], None]) -> list[Any]:
    """The results in the order of `tasks`; a worker does one task at a time."""
    results: dict[int, Any] = {}
    waiting = list(enumerate(tasks))
    busy: dict[Any, tuple[int, Task]] = {}
    while waiting or busy:
        at_work = [task.worker for _, task in busy.values()]
        idle = [each for each in waiting if each[1].worker not in at_work]
        if idle and len(busy) < at_once:
            waiting.remove(idle[0])
            began(idle[0][1])
            busy[idle[0][1].worker.ask(idle[0][1])] = idle[0]
            continue
        for connection in wait(list(busy)):
            number, task = busy.pop(connection)
            results[number] = task.worker.answer()
    return [results[number] for number in range(len(tasks))]


def _serve(connection: Connection, threads: int) -> None:
    # Ctrl-C reaches every process of the terminal; this one is ended by the one that started it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from graphlab.compare.costs import use_threads

    use_threads(threads)
    while True:
        try:
            function, arguments = connection.recv()
        except EOFError:
            return
        try:
            connection.send(("done", function(*arguments)))
        except UserError as error:
            connection.send(("refused", (str(error), error.help)))
        except Exception:
            import traceback

            connection.send(("failed", traceback.format_exc()))
