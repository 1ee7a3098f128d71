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
        "{loss} has shape {shape}; {call} needs a single number",
        "Reduce it first, {loss}.mean() or {loss}.sum(), or pass gradient= with that "
        "shape to weigh the entries yourself.",
        reduce_to_scalar,
        others=one_real_number,
    )
    yield from refused_backwards(
        RULE,
        trace,
        "complex-loss",
        "{loss} is a complex number; {call} needs a real one",
        "Make a real number of it that says what is to become small: {loss}.abs() or, of a value "
        "that should be real anyway, {loss}.real.",
        others=one_real_number,
    )
    yield from refused_backwards(
        RULE,
        trace,
        "gradient-shape",
        "the gradient given to {call} {why}",
        "Give one weight for each entry of {loss}: torch.ones_like({loss}) counts all alike.",
        others=one_real_number,
    )


RULE = Rule("GL007", "non-scalar-loss", "error", check)
