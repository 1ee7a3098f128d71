"""The dataclass of a rule: its code, name, severity and check."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from graphlab.trace.finding import Finding, Severity
from graphlab.trace.model import Trace


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, defined in a file of its own. `check` is a pure function of a Trace. A code is never
    reused or renumbered."""

    code: str
    name: str
    severity: Severity
    check: Callable[[Trace], Iterator[Finding]]

    @property
    def label(self) -> tuple[str, str, Severity]:
        """The first three fields of each of its findings: ``Finding(*RULE.label, summary=…)``."""
        return self.code, self.name, self.severity
