"""The repairs of an operation that made the first number that is not finite, the surest first."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.repair.finite.branches import safe_input
from graphlab.rules.repair.finite.exponentials import without_exponential
from graphlab.rules.repair.finite.logarithms import above_zero, in_one
from graphlab.rules.repair.finite.operations import operation_at
from graphlab.rules.repair.finite.steep import (
    angle_inside,
    as_norm,
    divisor_above_zero,
    root_above_zero,
)
from graphlab.rules.repair.finite.sums import log_of_sum
from graphlab.trace.finding import Help
from graphlab.trace.model import Trace
from graphlab.trace.sightings import NonFinite


def finite(trace: Trace, seen: NonFinite, operation: str) -> Iterator[Help]:
    """`operation`: as it is written, ``log`` say."""
    if seen.grown is not None or seen.inside or seen.phase not in ("forward", "backward"):
        # Of what had diverged before, this operation is not the cause.
        return
    if operation == "log":
        yield from in_one(trace, seen.at)
    elif operation == "exp":
        yield from log_of_sum(trace, seen.at)
    found = operation_at(trace, seen.at, operation)
    if found is None:
        return
    if seen.phase == "backward":
        yield from safe_input(found)
    if operation == "log":
        yield from above_zero(found)
    elif operation in ("exp", "expm1"):
        yield from without_exponential(found)
    elif operation in ("sqrt", "pow"):
        if operation == "sqrt":
            yield from as_norm(found)
        yield from root_above_zero(found, below=seen.phase == "forward")
    elif operation == "div":
        yield from divisor_above_zero(found)
    elif operation in ("acos", "asin"):
        yield from angle_inside(found)
