"""What a rule says: one Finding, in the terms of the JSON contract."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from graphlab.trace.model import Location, TensorInfo

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Place:
    """A location and what happened there: `what` is the contract's operation, by or call."""

    at: Location | None
    what: str
    module: str | None = None


@dataclass(frozen=True, slots=True)
class Versions:
    """A tensor with its version counter when it was saved and when backward came."""

    tensor: TensorInfo
    saved: int | None
    current: int | None


@dataclass(frozen=True, slots=True)
class Related:
    tensor: Versions
    saved: Place
    mutated: Place | None


@dataclass(frozen=True, slots=True)
class Help:
    """One way to mend it. `before` is text of the user's file as it stands, from the start of a
    line, and `after` is what to put in its place; both empty when words alone must do."""

    text: str
    before: str = ""
    after: str = ""
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """`measured` holds the numbers behind the words, where there are any."""

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
    notes: tuple[str, ...] = ()
    measured: dict[str, float] = field(default_factory=dict)
