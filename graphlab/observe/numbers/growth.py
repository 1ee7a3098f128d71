"""Remembers how large losses and parameters were lately, to tell a training that diverged."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

from graphlab.observe.notes import RawBackward
from graphlab.observe.numbers.finite import largest, readable_together
from graphlab.trace.sightings import Grown

# How many losses are kept, and what is called growth: so many times as large, of at least 1.
LOSSES, TIMES = 8, 1000.0


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
