"""Watches what modules keep in buffers, such as running statistics: a NaN there may reach no loss
that is trained on, and spoil the evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graphlab.observe.notes import Log
from graphlab.observe.numbers.finite import counts, largest, odd
from graphlab.observe.tensors import device_of
from graphlab.source.objects import attributes, items

Place = tuple[int, str | int]


class Buffers:
    def __init__(self, log: Log) -> None:
        self._log = log
        # Those that had a NaN when the first backward ran, as a mark for what is missing.
        self._before: set[Place] | None = None
        # On a device, whether there was one at the last look; not read.
        self._unread: Any = None

    def begin(self) -> None:
        """The first backward is about to run. Safe to call again."""
        if self._before is None:
            self._before = {place for place, each in self._all() if odd(each).nan}

    def ill(self, at_once: bool = False) -> list[Any]:
        """Those that have come to hold a NaN. On a device it is told at the next look, so that
        nothing waits for it, unless it is asked for `at_once`."""
        mine = [(place, each) for place, each in self._all() if place not in (self._before or ())]
        tops = largest([each for _, each in mine])
        if tops is None:
            return []
        found = tops.isnan().any()
        if device_of(found) != "cpu" and not at_once:
            found, self._unread = self._unread, found
        if found is None or not bool(found):
            return []
        return [each for _, each in mine if odd(each).nan]

    def _all(self) -> Iterator[tuple[Place, Any]]:
        for key, ref in [*self._log.modules.items()]:
            module = ref()
            kept = attributes(module).get("_buffers") if module is not None else None
            for name, each in items(kept) if kept else ():
                if counts(each):
                    yield (key, name), each
