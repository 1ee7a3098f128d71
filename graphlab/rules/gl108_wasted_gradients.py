"""A backward computed gradients that were cleared without having been applied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import prod

from graphlab.rules.repair.loops import detach
from graphlab.rules.rule import Rule
from graphlab.text import listing, plural
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Backward, Location, TensorInfo, Trace, Waste

_BYTES = {"float16": 2, "bfloat16": 2, "float64": 8, "complex64": 8, "complex128": 16}


# Not reported if less than this part of the bytes saved for backward was wasted.
LEAST = 0.05


def check(trace: Trace) -> Iterator[Finding]:
    told: set[Location | None] = set()
    for at, event in enumerate(trace.events):
        if not isinstance(event, Backward) or event.waste is None or event.at in told:
            continue
        if event.waste.saved < LEAST * event.waste.of_saved:
            continue
        told.add(event.at)
        yield _finding(trace, at, event, event.waste)


def _finding(trace: Trace, at: int, event: Backward, waste: Waste) -> Finding:
    tensors = [trace.tensors[each] for each in waste.tensors]
    owners = Counter(each.owner or "no name" for each in tensors)
    whose = listing([f"{plural(n, 'parameter')} of {owner}" for owner, n in owners.items()])
    return Finding(
        *RULE.label,
        summary=f"{event.call} computed the gradients of {whose} for nothing: they were cleared "
        f"unused, and {waste.saved / waste.of_saved:.0%} of its saved bytes served them alone",
        iteration=event.iteration,
        failed=Place(event.at, event.call),
        cause=Place(waste.at, f"{waste.variable or 'what is used here'} leads back to them")
        if waste.at is not None
        else None,
        help=tuple(_help(trace, at, event, waste)),
        notes=(
            f"for {sum(map(_size, tensors)):,} bytes of gradients it ran {waste.nodes} of its "
            f"{waste.of_nodes} nodes, which had saved {waste.saved:,} of {waste.of_saved:,} bytes"
            + (f"; line {waste.cleared.line} cleared them" if waste.cleared is not None else ""),
        ),
        measured={
            "gradients": len(tensors),
            "gradient_bytes": sum(map(_size, tensors)),
            "nodes": waste.nodes,
            "of_nodes": waste.of_nodes,
            "saved_bytes": waste.saved,
            "of_saved_bytes": waste.of_saved,
        },
    )


def _size(tensor: TensorInfo) -> int:
    return prod(tensor.shape) * _BYTES.get(tensor.dtype, 4)


def _help(trace: Trace, at: int, event: Backward, waste: Waste) -> Iterator[Help]:
    later = next(
        (
            each.at
            for each in trace.events[at + 1 :]
            if isinstance(each, Backward) and each.at is not None and each.at != event.at
        ),
        None,
    )
    used = event.at if not event.handed_over else None
    if waste.at is not None and used is not None and waste.variable is not None:
        found = detach(trace, waste.variable, waste.at, used, later)
        if found is not None:
            yield found
            return
    name = waste.variable
    yield Help(
        f"Give {event.loss} a graph that ends there: use {name}.detach() in its own forward pass."
        if name is not None
        else f"Detach what {event.loss} uses of them, in a forward pass of its own."
    )


RULE = Rule("GL108", "wasted-gradients", "info", check)
