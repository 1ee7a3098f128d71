"""Helpers of the rules about optimizers: suspicious steps, and the loss of each optimizer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

from graphlab.trace.finding import Versions
from graphlab.trace.model import Backward, Step, Trace

_COMMON = {
    "loss", "losses", "optimizer", "optimiser", "optim", "opt", "self", "total", "err", "error",
    "train", "net", "model", "the", "backward", "scaler",
}  # fmt: skip


def unversioned(trace: Trace, index: int) -> Versions:
    """The tensor at `index`, for a finding that is not about its version."""
    return Versions(trace.tensors[index], None, None)


def first_per_optimizer(
    trace: Trace, odd: Callable[[Step], bool], times: int = 2
) -> Iterator[Step]:
    """The first `odd` step of each optimizer with at least `times` of them."""
    found: dict[int, list[Step]] = {}
    for event in trace.events:
        if isinstance(event, Step) and odd(event):
            found.setdefault(event.optimizer, []).append(event)
    for steps in found.values():
        if len(steps) >= times:
            yield steps[0]


def last_step(trace: Trace, optimizer: int) -> Step | None:
    """The last step of the optimizer with this index, or None."""
    for event in reversed(trace.events):
        if isinstance(event, Step) and event.optimizer == optimizer:
            return event
    return None


def name_parts(name: str) -> set[str]:
    """The parts of a name in lower case, common words left out: ``optimizer_D`` gives ``d``."""
    split = re.sub(r"([a-z])([A-Z])", r"\1_\2", name)
    return {part.lower() for part in re.split(r"[^A-Za-z0-9]+", split) if part} - _COMMON


def own_losses(trace: Trace) -> dict[int, str]:
    """The loss that each optimizer minimises, by the optimizer's index. It is known if their names
    match, or if steps applied the gradient of one loss only; a loss with two optimizers is left
    out."""
    alone: dict[int, Counter[str]] = {}
    for event in trace.events:
        if isinstance(event, Step) and len(event.sources) == 1:
            alone.setdefault(event.optimizer, Counter())[event.sources[0]] += 1
    losses = {event.loss for event in trace.events if isinstance(event, Backward)}
    pairs: dict[int, str] = {}
    for index, optimizer in enumerate(trace.optimizers):
        owners = {trace.tensors[at].owner or "" for at in optimizer.owns}
        mine = name_parts(optimizer.name) | {w for owner in owners for w in name_parts(owner)}
        named = [loss for loss in losses if name_parts(loss) & mine]
        if len(named) == 1:
            pairs[index] = named[0]
        elif index in alone and len(alone[index]) == 1:
            pairs[index] = next(iter(alone[index]))
    counts = Counter(pairs.values())
    return {index: loss for index, loss in pairs.items() if counts[loss] == 1}
