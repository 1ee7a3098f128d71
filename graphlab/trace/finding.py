"""The Finding: what a rule reports, in the terms of the JSON report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from graphlab.trace.model import Location, TensorInfo

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Place:
    """A location and what happened there: `what` is `operation`, `by` or `call` in the report."""

    at: Location | None
    what: str
    module: str | None = None


@dataclass(frozen=True, slots=True)
class Versions:
    """A tensor, with its version when it was saved and when backward needed it."""

    tensor: TensorInfo
    saved: int | None
    current: int | None


@dataclass(frozen=True, slots=True)
class Related:
    """A further saved tensor that the same backward would have failed at."""

    tensor: Versions
    saved: Place
    mutated: Place | None


@dataclass(frozen=True, slots=True)
class Help:
    """One way to fix it. `before` is text of the user's file, from the start of a line, and
    `after` its replacement; both are empty when the help is `text` alone."""

    text: str
    before: str = ""
    after: str = ""
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem that a rule found. `measured` holds the numbers in `summary` and `notes`."""

    code: str
    name: str
    severity: Severity
    summary: str
    iteration: int | None = None
    tensor: Versions | None = None
    saved: Place | None = None
    mutated: Place | None = None
    freed: Place | None = None
    failed: Place | None = None
    cause: Place | None = None
    related: tuple[Related, ...] = ()
    help: tuple[Help, ...] = ()
    # Further ways to fix it, which `graphlab fix` tries and no other view shows.
    others: tuple[Help, ...] = ()
    notes: tuple[str, ...] = ()
    measured: dict[str, float] = field(default_factory=dict)
    # Of a program with several ranks: on which it was found, and which those are in words.
    ranks: tuple[int, ...] = ()
    where: str = ""
