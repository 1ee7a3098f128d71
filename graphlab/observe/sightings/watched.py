"""What a watcher is, and what it may use."""

from __future__ import annotations

from collections.abc import Iterable
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
