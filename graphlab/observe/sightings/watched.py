"""What a watcher is, and what it may use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from types import FrameType
from typing import Any, Protocol

from graphlab.observe.hooks.line_tracer import LineTracer
from graphlab.observe.live_objects import TensorTable
from graphlab.observe.notes import Log, RawBackward, Spot
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


# How many graphs of one kind a line's backwards are looked at for, and of how many kinds.
_LOOKS, _KINDS = 2, 16


class Looks:
    """How often the graphs of each line's backwards were looked at.

    A graph of another number of nodes is looked at anew: a branch made it that had not run before,
    which may be at iteration 2,000."""

    def __init__(self) -> None:
        self._kinds: dict[Spot | None, Counter[int]] = {}

    def due(self, record: RawBackward, nodes: list[Any]) -> bool:
        """Whether to look at this one, which is counted then."""
        kinds = self._kinds.setdefault(record.spot, Counter())
        kind = len(nodes)
        if kinds[kind] >= _LOOKS or (kind not in kinds and len(kinds) >= _KINDS):
            return False
        kinds[kind] += 1
        return True
