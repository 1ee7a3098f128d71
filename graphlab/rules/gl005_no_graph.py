"""GL005: backward on a tensor that no graph leads to."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.repair.outright import graph_again
from graphlab.rules.troubles import findings
from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace


def check(trace: Trace) -> Iterator[Finding]:
    yield from findings(
        trace,
        "no-graph",
        "GL005",
        "no-graph",
        "no graph leads to {loss}: {cut} cut it off",
        "Compute {loss} from the model's outputs without leaving the graph: no "
        "detach(), item(), .data, numpy or integer cast on the way, and not under "
        "no_grad(). Setting requires_grad on {loss} itself only silences this: nothing "
        "would train.",
        graph_again,
    )
