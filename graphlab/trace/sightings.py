"""What a program was seen to do that a rule may judge: one dataclass for each kind of thing."""

from __future__ import annotations

from dataclasses import dataclass

from graphlab.trace.module_sightings import ModuleSighting
from graphlab.trace.values import Count, Location, TensorAt


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of the gradients of the backwards at one line: how many backwards had theirs
    applied by a step, how many had all of theirs cleared before any, and where (`cleared`, by
    `cleared_by`). tensors: the parameters reached. steps: how many steps their optimizers took."""

    at: Location | None
    call: str
    tensors: tuple[TensorAt, ...]
    applied: Count
    discarded: Count
    steps: Count
    cleared: Location | None = None
    cleared_by: str = ""


@dataclass(frozen=True, slots=True)
class SoftmaxTwice:
    """A softmax at `first_at` whose result goes into another at `at`, over the same dimension."""

    at: Location | None
    operation: str
    first_at: Location | None
    first: str
    loss: str


# A Trace holds these under `sightings`.
Sighting = Fate | SoftmaxTwice | ModuleSighting
