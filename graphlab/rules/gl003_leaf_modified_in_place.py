"""A leaf that requires grad was written in place."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.refusals import refused_writes
from graphlab.rules.repair.inplace_modules import built_not_in_place
from graphlab.rules.repair.reordered import copy_in_call
from graphlab.rules.repair.writes import under_no_grad
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace


def check(trace: Trace) -> Iterator[Finding]:
    yield from refused_writes(
        RULE,
        trace,
        "leaf",
        "errors.gl003.summary",
        ("errors.gl003.under_no_grad", "errors.gl003.into_a_copy"),
        lambda trace, event: under_no_grad(trace, event.at) if event.at is not None else None,
        lambda trace, event: (
            *copy_in_call(trace, event.at, trace.tensors[event.tensor].name),
            *built_not_in_place(trace, event.at),
        ),
    )


RULE = Rule("GL003", "leaf-modified-in-place", "error", check)
