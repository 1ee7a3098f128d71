"""Notices lines that copy a tensor into the memory that it lies in: it was kept by reference."""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType
from typing import Any

from graphlab.observe.notes import RawBackward, RawWrite, located
from graphlab.observe.sightings.watched import Watched
from graphlab.source.effects.references import kept_by_reference, mixes_at
from graphlab.trace.module_sightings import Restored

# A line is judged by so many copies, all of which changed nothing.
ENOUGH = 4


class KeptValues:
    def __init__(self, watched: Watched) -> None:
        self._log, self._files = watched.log, watched.files

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing: every write is noted."""

    def found(self) -> Iterator[Restored]:
        lines = {spot: n for spot, n in self._log.onto_itself.items() if n >= ENOUGH}
        for event in list(self._log.events) if lines else ():
            if isinstance(event, RawWrite) and event.spot in lines:
                lines[event.spot] -= 1
        for spot, left in lines.items():
            # One that moved something else has done what it is for.
            if left < 0 or spot[0] not in self._files:
                continue
            at = located(spot)
            kept = kept_by_reference(at.file, at.line) if at is not None else None
            if at is not None and kept is not None:
                mixed = mixes_at(at.file, at.line)
                code = at.code.strip()
                yield Restored(at, code, "", "", *kept, copied=True, mixed=mixed)
