"""What the rules for silent bugs share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from graphlab.trace.finding import Versions
from graphlab.trace.model import Step, Trace


def named(trace: Trace, index: int) -> Versions:
    return Versions(trace.tensors[index], None, None)


def first_per_optimizer(
    trace: Trace, odd: Callable[[Step], bool], times: int = 2
) -> Iterator[Step]:
    """The first odd step of each optimizer that made at least `times` of them."""
    found: dict[int, list[Step]] = {}
    for event in trace.events:
        if isinstance(event, Step) and odd(event):
            found.setdefault(event.optimizer, []).append(event)
    for steps in found.values():
        if len(steps) >= times:
            yield steps[0]


def last_step(trace: Trace, optimizer: int) -> Step | None:
    for event in reversed(trace.events):
        if isinstance(event, Step) and event.optimizer == optimizer:
            return event
    return None
