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
        "training.gl105.summary",
        "training.gl105.raised",
    )


RULE = Rule("GL105", "version-counter-bypassed", "warning", check)
