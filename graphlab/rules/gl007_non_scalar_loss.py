"""Backward was called on a loss that is not a single real number."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.refusals import refused_backwards
from graphlab.rules.repair.calls import one_real_number
from graphlab.rules.repair.refused_call import reduce_to_scalar
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace


def check(trace: Trace) -> Iterator[Finding]:
    yield from refused_backwards(
        RULE,
        trace,
        "non-scalar",
        "errors.gl007.summary",
        "errors.gl007.help",
        reduce_to_scalar,
        others=one_real_number,
    )
    yield from refused_backwards(
        RULE,
        trace,
        "complex-loss",
        "errors.gl007.complex",
        "errors.gl007.complex_help",
        others=one_real_number,
    )
    yield from refused_backwards(
        RULE,
        trace,
        "gradient-shape",
        "errors.gl007.gradient",
        "errors.gl007.gradient_help",
        others=one_real_number,
    )


RULE = Rule("GL007", "non-scalar-loss", "error", check)
