"""What goes into the updates that the ranks make alike: learning rates, and gradients that were
changed before they were averaged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from graphlab.trace.values import Count, Location, OptimizerAt

# What differed first where ranks applied different steps: what was written to gradients, learning
# rates, other settings, or the parameters, by a write, or by nothing that was seen; or some had run
# the step in an iteration in which others did not, one of the first or a later one; or each had
# scaled its shards by a factor of its own; or a group averages gradients of unlike parameters.
# rewritten: by what every rank wrote to them after their wrapper had made them the same.
Apart = Literal[
    "written", "rate", "settings", "values", "rewritten", "drifted", "skipped", "behind", "scaled",
    "among",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rated:
    """The learning rates, as text, that a ReduceLROnPlateau stepped at `at` has given an optimizer,
    or, at no line, that its steps were made with: each after so many steps of the optimizer's."""

    at: Location | None
    optimizer: OptimizerAt
    rates: tuple[tuple[Count, str], ...]


@dataclass(frozen=True, slots=True)
class ClippedPart:
    """The program clipped this rank's gradients at `clipped`, which multiplied them by `factor`,
    and averaged them over the ranks afterwards, at `averaged`, before the sampled step at `at`.
    factors: those of some elements, the same on every rank, where they are not all one; -1 where it
    is not known."""

    at: Location | None
    optimizer: OptimizerAt
    step: Count
    iteration: Count | None
    factor: float
    clipped: Location | None
    clipped_by: str
    averaged: Location | None
    averaged_by: str
    factors: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ClippedApart:
    """Ranks whose gradients were clipped by factors that differ, as text, before the average and
    the step at `at`; `part` is what the first of them did."""

    at: Location | None
    part: ClippedPart
    factors: tuple[str, ...]
    ranks: tuple[int, ...]


UpdateSighting = Rated | ClippedPart | ClippedApart
