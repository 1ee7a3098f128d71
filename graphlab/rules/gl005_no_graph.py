"""Backward was called on a tensor without a graph."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.refusals import refused_backwards
from graphlab.rules.repair.refused_call import restore_graph
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace


def check(trace: Trace) -> Iterator[Finding]:
    yield from refused_backwards(
        RULE,
        trace,
        "no-graph",
        "no graph leads to {loss}",
        "Compute {loss} from the model's outputs without leaving the graph: no "
        "detach(), item(), .data, numpy or integer cast on the way, and not under "
        "no_grad(). Setting requires_grad on {loss} itself only silences this: nothing "
        "would train.",
        restore_graph,
        cut=": {cut} cut it off",
    )


RULE = Rule("GL005", "no-graph", "error", check)
