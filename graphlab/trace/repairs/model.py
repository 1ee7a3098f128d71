"""Repairs that were tried: what each changes, how it went, and what was checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from graphlab.trace.finding import Finding

Verdict = Literal["proved", "runs", "rejected"]


@dataclass(frozen=True, slots=True)
class LineEdit:
    """`before`, whole lines of `file` from `line` on, becomes `after`. Either may be empty."""

    file: str
    line: int
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at in the trial. holds: None where that could not be told."""

    name: str
    holds: bool | None
    detail: str


@dataclass(frozen=True, slots=True)
class Cost:
    """What an iteration of the trial took: calls of modules from the program's own lines, calls of
    backward, and the bytes that autograd saved for these. None where that is not known."""

    forwards: int | None = None
    backwards: int | None = None
    saved_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A repair of one or several findings, that was tried as a whole. `diff` is a unified diff."""

    text: str
    diff: str
    edits: tuple[LineEdit, ...]
    verdict: Verdict
    checks: tuple[Check, ...]
    cost: Cost = field(default_factory=Cost)


@dataclass(frozen=True, slots=True)
class Repairs:
    """What a run found, and the repairs that were tried, the best first. chosen: the place of the
    one that is offered; None where none is. failure: what ended the program, if it is no finding's.
    exit_code: the program's own, as it is; 0 where it was left. left_after: the seconds after which
    it was left, before its end."""

    target: str
    findings: tuple[Finding, ...]
    candidates: tuple[Candidate, ...]
    chosen: int | None
    applied: bool = False
    failure: str = ""
    exit_code: int = 0
    left_after: float | None = None

    @property
    def problems(self) -> list[Finding]:
        """The findings that are to be mended."""
        return [each for each in self.findings if each.severity != "info"]
