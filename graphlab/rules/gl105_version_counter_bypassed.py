"""A saved tensor was written without its version counter noticing, and backward used it."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules import stale
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace


def check(trace: Trace) -> Iterator[Finding]:
    yield from stale.findings(
        RULE,
        trace,
        "bypassed",
        "used the new value, and no version counter told PyTorch: its gradient is wrong",
        "failed on the new value, of which no version counter told PyTorch",
    )


RULE = Rule("GL105", "version-counter-bypassed", "warning", check)
