"""GL004: an in-place write to a view that autograd forbids."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.refused import findings
from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace


def check(trace: Trace) -> Iterator[Finding]:
    yield from findings(
        trace,
        "view",
        "GL004",
        "view-modified-in-place",
        "{name} is a view that autograd cannot follow an in-place write through: {by}",
        "Write out of place into a new tensor, or write to `{name}.clone()`; to change the base, "
        "index the base itself instead of a view from unbind, split, chunk or no_grad.",
    )
