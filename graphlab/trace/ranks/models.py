"""Modules that DistributedDataParallel refuses: their parameters differ between the ranks."""

from __future__ import annotations

from dataclasses import dataclass

from graphlab.trace.values import Count, Location


@dataclass(frozen=True, slots=True)
class RefusedModule:
    """The call at `at` wrapped a module, and raised. parameters: the path of each that requires a
    gradient, and its shape; frozen: the paths of the others, and the line that froze the first."""

    at: Location | None
    call: str
    parameters: tuple[tuple[str, tuple[Count, ...]], ...]
    frozen: tuple[str, ...]
    froze: Location | None
    froze_by: str


@dataclass(frozen=True, slots=True)
class ModulesDiffer:
    """What the first of `count` parameters, `name`, is on each rank, as text. ranks: those that
    have frozen it, if it is but that; froze: the line that did."""

    at: Location | None
    call: str
    name: str
    count: Count
    differs: tuple[str, ...]
    ranks: tuple[int, ...]
    froze: Location | None
    froze_by: str


ModelSighting = RefusedModule | ModulesDiffer
