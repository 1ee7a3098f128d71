"""Backward was called on a tensor without a graph, or a hook was to be registered on one."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.refusals import made_by, refused_backwards, refused_operations
from graphlab.rules.repair.graph.cuts import graph_kept
from graphlab.rules.repair.refused_call import restore_graph
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help
from graphlab.trace.model import Refused, Trace

# How what was made without a graph is told of.
_UNASKED = "made it without requires_grad"


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
        others=lambda trace, event: graph_kept(trace, event.cut, event.cut_by, event.at),
    )
    yield from refused_operations(RULE, trace, "hook", _summary, _help)


def _summary(event: Refused, name: str) -> str:
    by = f": {made_by(event)} cut it off" if event.made is not None else ""
    if event.made_by.endswith(_UNASKED):
        by = f": {event.made_by}"
    return f"no graph leads to {name}, so that {event.by} has no gradient to wait for{by}"


def _help(trace: Trace, event: Refused, name: str) -> Iterator[Help]:
    if event.made is None:
        yield Help(
            f"Register it on a tensor that requires grad: one that is computed from parameters, "
            f"outside of no_grad(), or {name}.requires_grad_() if {name} is an input whose "
            "gradient is wanted."
        )
    elif event.made_by.endswith(_UNASKED):
        yield Help(
            f"Let it require grad where it is made, in line {event.made.line}, if its gradient is "
            f"wanted; else leave {event.by} out."
        )
    elif "grad" in event.made_by and "requires_grad" not in event.made_by:
        where = made_by(event)
        yield Help(f"Compute {name} outside {where}, or register where {name}.requires_grad only.")
    else:
        yield Help(f"Register it on a tensor before {made_by(event)}, or leave that out.")


RULE = Rule("GL005", "no-graph", "error", check)
