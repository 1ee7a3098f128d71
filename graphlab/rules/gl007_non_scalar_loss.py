"""GL007: the implicit gradient of a loss that holds more than one number."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.repair.outright import reduced
from graphlab.rules.troubles import findings
from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace


def check(trace: Trace) -> Iterator[Finding]:
    yield from findings(
        trace,
        "non-scalar",
        "GL007",
        "non-scalar-loss",
        "{loss} has shape {shape}; {call} needs a single number",
        "Reduce it first, {loss}.mean() or {loss}.sum(), or pass gradient= with that "
        "shape to weigh the entries yourself.",
        reduced,
    )
