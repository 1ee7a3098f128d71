"""Backward was called without a gradient on a loss of more than one element."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.refusals import refused_backwards
from graphlab.rules.repair.refused_call import reduce_to_scalar
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace


def check(trace: Trace) -> Iterator[Finding]:
    yield from refused_backwards(
        RULE,
        trace,
        "non-scalar",
        "{loss} has shape {shape}; {call} needs a single number",
        "Reduce it first, {loss}.mean() or {loss}.sum(), or pass gradient= with that "
        "shape to weigh the entries yourself.",
        reduce_to_scalar,
    )


RULE = Rule("GL007", "non-scalar-loss", "error", check)
