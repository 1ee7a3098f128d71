"""Keeps what watching costs within a share of the program's own time, by looking less.

What handlers take is measured: all of them hold the tracer's lock. What following a line or a call
of a module takes is too short to measure, and is counted: each leaves a mark.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from threading import get_ident
from typing import Protocol

from graphlab.errors import UserError
from graphlab.language import message
from graphlab.language.lists import listing
from graphlab.observe.iterations import Iterations
from graphlab.observe.notes import Log, RawBackward, Spot

# A share is judged over so many backwards, and so many seconds, at least.
BACKWARDS, SECONDS = 40, 0.2
# What a mark costs, in calls of a small Python function.
CALLS = 12


def checked_share(share: float) -> float:
    """`share` as a budget. Raises UserError for what is none."""
    if not isinstance(share, int | float) or not 0 < share < float("inf"):
        raise UserError(message("usage.no_share", share=str(share)), message("usage.help.share"))
    return float(share)


class Way(Protocol):
    """A way to look less. `left_out` completes "graphlab no longer saw …"."""

    left_out: str

    def rest(self) -> None:
        """Take it, for good."""


class Together:
    """Ways that make sense together only."""

    def __init__(self, *ways: Way) -> None:
        self._ways = ways
        self.left_out = listing([way.left_out for way in ways])

    def rest(self) -> None:
        for way in self._ways:
            way.rest()


class TimedLock:
    """A reentrant lock that knows for how long it was held, in seconds."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._since = self._held = 0.0

    def __enter__(self) -> TimedLock:
        self._lock.acquire()
        if self._depth == 0:
            self._since = time.perf_counter()
        self._depth += 1
        return self

    def __exit__(self, *error: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._held += time.perf_counter() - self._since
        self._lock.release()

    def held(self) -> float:
        """For how long in all, also by the thread that asks."""
        return self._held + (time.perf_counter() - self._since if self._depth else 0.0)


class Budget:
    """`share` is what watching may take, as a share of the program's own time. `ways` are taken in
    their order, each after a window that was too dear; the last of them stops the count of
    iterations. The first window, in which all is new, does not count."""

    def __init__(self, share: float, log: Log, iterations: Iterations, ways: Sequence[Way]) -> None:
        self._share, self._log, self._iterations = share, log, iterations
        self._ways = [*ways]
        self.lock = TimedLock()
        self._turns = Turns()
        self._mark = CALLS * cost_of_a_call()
        self._backwards = self._windows = 0
        # When the window began, and how long the lock had been held by then.
        self._began = self._held = 0.0
        self._marks: dict[int, int] = {}
        # The share that the last window had.
        self._last = 0.0
        self._taken: list[tuple[str, int | None]] = []

    def backward_begins(self, record: RawBackward) -> None:
        if self._ways:
            self._turns.note(record)
        elif self._turns.began(record) and self._iterations.given is not None:
            record.iteration = self._iterations.given = self._iterations.given + 1
            self._iterations.done = record.iteration + 1

    def backward_ended(self, record: RawBackward) -> None:
        now = time.perf_counter()
        if self._began == 0.0:
            self._begin(now)
        self._backwards += 1
        if self._backwards < BACKWARDS or now - self._began < SECONDS:
            return
        self._windows += 1
        spent = self._spent()
        self._last = spent / max(now - self._began - spent, 1e-9)
        if self._windows > 1 and self._last > self._share and self._ways:
            way = self._ways.pop(0)
            way.rest()
            self._taken.append((way.left_out, record.iteration))
            if not self._ways:
                self._count_on(record)
        self._begin(now)

    def notices(self) -> list[str]:
        """What was not looked at, in a sentence each."""
        limit = f"{self._share:.0%}"
        said = []
        for what, iteration in self._taken:
            key = "observed.budget.after" if iteration is not None else "observed.budget.a_while"
            said.append(message(key, limit=limit, iteration=iteration, what=what))
        if self._last > self._share and not self._ways:
            said.append(message("observed.budget.rest", share=f"{self._last:.0%}"))
        return said

    def _begin(self, now: float) -> None:
        self._began, self._held, self._backwards = now, self.lock.held(), 0
        self._marks[get_ident()] = self._log.count()

    def _spent(self) -> float:
        count = self._log.count()
        marks = count - self._marks.get(get_ident(), count)
        return self.lock.held() - self._held + marks * self._mark

    def _count_on(self, record: RawBackward) -> None:
        """Lines are followed no more: the backwards at one line number the iterations, if there is
        one at which they did so until now."""
        if self._turns.regular() and record.iteration is not None:
            self._iterations.given = record.iteration
            return
        for loop in [*self._iterations.counts]:
            self._iterations.lose(loop)


class Turns:
    """Whether the first backward of each iteration is always at the same line, once."""

    def __init__(self) -> None:
        self._first: Spot | None = None
        self._iteration: int | None = None
        self._regular = True

    def note(self, record: RawBackward) -> None:
        """A backward that is numbered by its loop."""
        if record.iteration != self._iteration:
            known = self._first is None or self._first == record.spot
            self._regular = self._regular and known and record.iteration is not None
            self._first, self._iteration = record.spot, record.iteration
        elif record.spot == self._first:
            self._regular = False

    def regular(self) -> bool:
        return self._regular and self._first is not None

    def began(self, record: RawBackward) -> bool:
        """Whether a backward is the first of an iteration."""
        return self.regular() and record.spot == self._first


def cost_of_a_call() -> float:
    """What a call of a small Python function takes, in seconds: the least of a few rounds."""

    def small(one: int, two: int) -> int:
        return one + two

    rounds = []
    for _ in range(5):
        began = time.perf_counter()
        for each in range(200):
            small(each, each)
        rounds.append((time.perf_counter() - began) / 200)
    return min(rounds)
