"""What a program was seen to do that a rule may judge: one dataclass for each kind of thing."""

from __future__ import annotations

from dataclasses import dataclass

from graphlab.trace.module_sightings import ModuleSighting
from graphlab.trace.values import Count, Location, OptimizerAt


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of the gradients of the first backwards at one line.

    holders: the optimizers of the parameters that they reached. applied: how many backwards had
    gradients that a step applied. discarded: how many had only gradients that were cleared before
    any step. least_between: the fewest of these between one that was applied and the next. cleared,
    cleared_by: the one call that cleared them; it also `clears_applied` ones.
    """

    at: Location | None
    call: str
    holders: tuple[OptimizerAt, ...]
    backwards: Count
    applied: Count
    discarded: Count
    least_between: Count = 0
    cleared: Location | None = None
    cleared_by: str = ""
    clears_applied: bool = False


@dataclass(frozen=True, slots=True)
class Starved:
    """An optimizer none of whose steps had a gradient, though backwards reach its parameters: what
    `call` at `at` wrote was cleared first, at `cleared`."""

    at: Location | None
    call: str
    optimizer: OptimizerAt
    cleared: Location | None
    cleared_by: str


@dataclass(frozen=True, slots=True)
class SoftmaxTwice:
    """A softmax at `first_at` whose result goes into another at `at`, over the same dimension."""

    at: Location | None
    operation: str
    first_at: Location | None
    first: str
    loss: str


# A Trace holds these under `sightings`.
Sighting = Fate | Starved | SoftmaxTwice | ModuleSighting
