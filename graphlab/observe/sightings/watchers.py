"""All watchers of one observation: each looks for one kind of sighting."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import FrameType
from typing import Any, Protocol

from graphlab.observe.hooks.line_tracer import LineTracer
from graphlab.observe.live_objects import TensorTable
from graphlab.observe.notes import Log, RawBackward
from graphlab.observe.optimizers.ledger import OptimizerLedger
from graphlab.source.files import UserFiles
from graphlab.trace.sightings import Sighting


@dataclass(frozen=True, slots=True)
class Watched:
    """What a watcher may use: it registers its handlers in `tracer.handlers`."""

    log: Log
    tracer: LineTracer
    files: UserFiles
    ledger: OptimizerLedger
    table: TensorTable


class Watcher(Protocol):
    """Looks for one kind of sighting."""

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """A sampled backward is about to run through `nodes`; `frame` is torch's own."""

    def found(self) -> Iterable[Sighting]:
        """What was seen so far."""
        ...


class Watchers:
    """`guard` is called with the observer's own exceptions."""

    def __init__(self, watched: Watched, guard: Callable[[Exception], None]) -> None:
        self._guard = guard
        self._all: tuple[Watcher, ...] = ()

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        for each in self._all:
            try:
                each.inspect(record, nodes, frame)
            except Exception as error:
                self._guard(error)

    def found(self) -> tuple[Sighting, ...]:
        found: list[Sighting] = []
        for each in self._all:
            try:
                found += each.found()
            except Exception as error:
                self._guard(error)
        return tuple(found)
