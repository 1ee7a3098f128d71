"""A tensor saved for backward was written in place before backward needed it."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules import stale
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace


def check(trace: Trace) -> Iterator[Finding]:
    yield from stale.findings(RULE, trace, "stale", "errors.gl001.summary")


RULE = Rule("GL001", "stale-saved-tensor", "error", check)
