"""GL001: a tensor saved for backward was written in place before backward needed it."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules import stale
from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace


def check(trace: Trace) -> Iterator[Finding]:
    yield from stale.findings(
        trace, "stale", "GL001", "stale-saved-tensor", "error", "still needs the old value"
    )
