"""A backward computed gradients that were cleared without having been applied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import prod

from graphlab.language import message
from graphlab.language.lists import listing
from graphlab.rules.repair.loops import detach
from graphlab.rules.rule import Rule
from graphlab.rules.words import loss_word
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
    owners = Counter(each.owner or message("words.no_name") for each in tensors)
    whose = [message("words.of_owner", owner=owner, count=n) for owner, n in owners.items()]
    cause = None
    if waste.at is not None:
        name = waste.variable or message("training.gl108.used_here")
        cause = Place(waste.at, message("training.gl108.leads_back", name=name))
    return Finding(
        *RULE.label,
        summary=message(
            "training.gl108.summary",
            call=event.call,
            whose=listing(whose),
            part=waste.saved / waste.of_saved,
        ),
        iteration=event.iteration,
        failed=Place(event.at, event.call),
        cause=cause,
        help=tuple(_help(trace, at, event, waste)),
        notes=(
            message(
                f"training.gl108.{'cost' if waste.cleared is None else 'cost_cleared'}",
                gradients=sum(map(_size, tensors)),
                nodes=waste.nodes,
                of_nodes=waste.of_nodes,
                saved=waste.saved,
                of_saved=waste.of_saved,
                line=waste.cleared.line if waste.cleared is not None else None,
            ),
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
    key = "detach_it" if waste.variable is not None else "detach"
    words = {"loss": loss_word(event.loss), "name": waste.variable}
    yield Help(message(f"training.gl108.{key}", **words))


RULE = Rule("GL108", "wasted-gradients", "info", check)
