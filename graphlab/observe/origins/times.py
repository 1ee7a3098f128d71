"""Tells when a line of the user's last ran, from the marks of an observed run."""

from __future__ import annotations

from bisect import bisect_left
from functools import cached_property

from graphlab.observe.notes import Log
from graphlab.source.places import locate


class Times:
    """Times are counts of marks: see `Log.count`."""

    def __init__(self, log: Log) -> None:
        self._log = log

    @cached_property
    def _runs(self) -> dict[tuple[str, int], list[int]]:
        found: dict[tuple[str, int], list[int]] = {}
        last = None
        for at, mark in enumerate(self._log.marks, self._log.marks.dropped):
            code, offset = mark[1], mark[2]
            if code is None or (code, offset) == last:
                continue
            last = code, offset
            place = locate(code, offset)
            found.setdefault((place.file, place.line), []).append(at)
        return found

    @property
    def whole(self) -> bool:
        """Whether the marks go back to the beginning of the run."""
        return not self._log.marks.dropped

    def last(self, file: str, line: int) -> int:
        """When the line last ran; -1 if that is not known."""
        runs = self._runs.get((file, line))
        return runs[-1] if runs else -1

    def within(self, file: str, line: int, first: int, end: int) -> int:
        """When it last ran between two times; -1 if it did not."""
        runs = self._runs.get((file, line), [])
        at = bisect_left(runs, end)
        return runs[at - 1] if at and runs[at - 1] >= first else -1
