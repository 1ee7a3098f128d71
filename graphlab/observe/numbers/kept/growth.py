"""Remembers how large losses and parameters were lately, to tell a training that diverged, and
holds small parameters for the end, when their optimizer may be gone."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from graphlab.observe.notes import RawBackward
from graphlab.observe.numbers.finite import counts, in_memory, largest, odd, readable_together
from graphlab.trace.sightings import Grown

# How many losses are kept, and what is called growth: so many times as large, of at least 1.
LOSSES, TIMES = 8, 1000.0
# Of how many optimizers, and of how many values of each, parameters are held.
OPTIMIZERS, VALUES = 4, 1 << 14


class Held(NamedTuple):
    """Small parameters of an optimizer: their values, which change as theirs do, and their places
    in the table of tensors. since: the iteration of the last backward before. plain: the optimizer
    is of a kind that makes no NaN of finite numbers."""

    since: int
    plain: bool
    values: tuple[Any, ...]
    places: tuple[int, ...]

    def ill(self) -> Held:
        """Those that are not finite. To be called inside of Unnoticed."""
        both = [*zip(self.values, self.places, strict=True)]
        # What was taken out of memory since is not read.
        found = [(value, place) for value, place in both if in_memory(value) and odd(value)]
        return self._replace(values=tuple(v for v, _ in found), places=tuple(p for _, p in found))


class SmallParameters:
    """Of the last optimizers, by their place: what a function that returns takes along is read at
    the end all the same."""

    def __init__(self, place_of: Callable[[Any], int]) -> None:
        self._place_of = place_of
        self._held: dict[int, Held] = {}

    def hold(self, at: int, optimizer: Any, parameters: Sequence[Any], since: int) -> None:
        """A step of it is about to begin. To be called inside of Unnoticed; safe to call again."""
        if at in self._held:
            return
        if len(self._held) == OPTIMIZERS:
            del self._held[next(iter(self._held))]
        small: list[Any] = []
        left = VALUES
        for each in parameters:
            if counts(each) and 0 < (size := in_memory(each)) <= left:
                small.append(each)
                left -= size
        plain = type(optimizer) is torch.optim.SGD
        values = tuple(each.detach() for each in small)
        self._held[at] = Held(since, plain, values, tuple(map(self._place_of, small)))

    def of(self, at: int) -> Held | None:
        return self._held.get(at)


class Growth:
    def __init__(self) -> None:
        self._losses: deque[tuple[Any, float]] = deque(maxlen=LOSSES)
        # By the place of an optimizer, of its first step and of the last that was looked at: the
        # iteration, and the greatest magnitude in each parameter, still on its device.
        self._first: dict[int, tuple[int | None, Any]] = {}
        self._latest: dict[int, tuple[int | None, Any]] = {}

    def loss(self, record: Any, value: float) -> None:
        """Note the value of the loss whose backward begins: the last of the log's events."""
        self._losses.append((record, value))

    def parameters(self, optimizer: int, iteration: int | None, tops: Any) -> None:
        """Note `tops`, the greatest value of each parameter before a step."""
        self._first.setdefault(optimizer, (iteration, tops))
        self._latest[optimizer] = (iteration, tops)

    def of_parameters(
        self, optimizer: int, parameters: Sequence[Any], iteration: int | None
    ) -> tuple[Any, Grown] | None:
        """The parameter that grew most, and from what to what; None where none did. To be called
        inside of Unnoticed."""
        if optimizer not in self._first:
            return None
        start, before = self._first[optimizer]
        found: tuple[int, Grown] | None = None
        now = largest(parameters)
        for end, after in ((iteration, now), self._latest[optimizer]):
            if after is None or after.shape != before.shape or start is None or end is None:
                continue
            pairs = zip(before.tolist(), after.tolist(), strict=True)
            for at, (old, new) in enumerate(pairs):
                best = found[1].after if found is not None else TIMES * max(old, 1.0)
                if math.isfinite(new) and new >= max(best, TIMES * max(old, 1.0)):
                    found = at, Grown("", start, old, end, new)
            if found is not None:
                return readable_together(parameters)[found[0]], found[1]
        return None

    def of_loss(self, record: RawBackward) -> Grown | None:
        """How the loss of a backward grew over the last iterations, up to the last finite one."""
        known = [
            (each.iteration, value)
            for each, value in self._losses
            if isinstance(each, RawBackward) and each.spot == record.spot and math.isfinite(value)
        ]
        if len(known) < 3 or not record.loss:
            return None
        (start, old), (end, new) = known[0], known[-1]
        # Grown in each of the last ones: a single large batch is no growth.
        rising = all(abs(known[at][1]) > abs(known[at - 1][1]) for at in (-1, -2))
        if start is None or end is None or not rising or abs(new) < TIMES * max(abs(old), 1.0):
            return None
        return Grown(record.loss, start, old, end, new)
