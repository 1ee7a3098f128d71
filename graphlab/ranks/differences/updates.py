"""Compares what ranks do about a step: learning rates, clippings before the average, and the step
itself."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator

from graphlab.language import message
from graphlab.ranks.parting import counts_of
from graphlab.trace.model import Backward, OptimizerInfo, Step, Trace
from graphlab.trace.ranks.joint import Joint
from graphlab.trace.ranks.sightings import (
    DDP,
    Carried,
    GradientWrite,
    Scheduled,
    StepsApart,
    Wrapped,
)
from graphlab.trace.ranks.updates import ClippedApart, ClippedPart, Rated

# By how much factors differ that are not the same, and how often that must be seen: the gradients
# of one step alone may be beyond all measure.
APART, OFTEN = 1e-3, 2


def rates_apart(joint: Joint, name: str, steps: int) -> tuple[GradientWrite, list[str]] | None:
    """The scheduler, if it was one, that gave the optimizer called `name` another learning rate on
    each rank within its first `steps` steps, and the rates, as text, when they first were apart."""
    lines: dict[object, dict[int, Rated]] = defaultdict(dict)
    for rank, trace in joint.traces.items():
        for each in trace.sightings:
            if isinstance(each, Rated) and trace.optimizers[each.optimizer].name == name:
                lines[each.at].setdefault(rank, each)
    # A line that did it says more.
    for ranks in sorted(lines.values(), key=lambda ranks: next(iter(ranks.values())).at is None):
        if len(ranks) < len(joint.traces):
            continue
        # Before the first change on some rank it was the same everywhere, or that was told already.
        begins = max(each.rates[0][0] for each in ranks.values())
        changes = sorted({at for each in ranks.values() for at, _ in each.rates})
        for at in (each for each in changes if begins <= each < steps):
            rates = {rank: _rate(each, at) for rank, each in ranks.items()}
            if len({*rates.values()}) > 1:
                first = next(iter(ranks.values()))
                by = GradientWrite(first.at, message("ranks.gl303.scheduler"))
                texts: list[str] = [
                    message("ranks.of_rank", rank=rank, text=text) for rank, text in rates.items()
                ]
                return by, texts
    return None


def _rate(rated: Rated, steps: int) -> str:
    return next((text for at, text in reversed(rated.rates) if at <= steps), "")


def stepped_by_some(joint: Joint) -> dict[int, StepsApart]:
    """An optimizer that some ranks never step, by rank: a wrapper averages its gradients on all of
    them, backwards gave it some on all, and nothing as large as a parameter was exchanged, which
    could have handed the others what the step made."""
    traces = joint.traces
    if joint.missing or any(each.outcome != "completed" for each in traces.values()):
        return {}
    for first in (each for trace in traces.values() for each in trace.optimizers if each.steps):
        found = {rank: _fed(trace, first) for rank, trace in traces.items()}
        fed = {rank: at for rank, at in found.items() if at is not None}
        idle = [rank for rank, at in fed.items() if not traces[rank].optimizers[at].steps]
        if len(fed) < len(traces) or not idle or _handed_on(joint, fed):
            continue
        did = tuple(rank for rank in fed if rank not in idle)
        step = next(
            each
            for each in traces[did[0]].events
            if isinstance(each, Step) and each.optimizer == fed[did[0]]
        )
        return {
            rank: StepsApart(step.at, at, step.iteration, (), "skipped", None, "", did)
            for rank, at in fed.items()
        }
    return {}


def _fed(trace: Trace, like: OptimizerInfo) -> int | None:
    """The optimizer of a rank that another one has as `like`, where a wrapper averages what it
    owns, and two backwards or more reached that."""
    averaged = {
        at
        for each in trace.sightings
        if isinstance(each, Wrapped) and each.kind == DDP
        for at in each.tensors
    }
    for at, each in enumerate(trace.optimizers):
        owns = averaged.intersection(each.owns)
        reached = [e for e in trace.events if isinstance(e, Backward) and owns & {*e.reached}]
        if each.name == like.name and each.at == like.at and len(reached) > 1:
            return at if not each.elsewhere and not each.by_hand else None
    return None


def _handed_on(joint: Joint, optimizers: dict[int, int]) -> bool:
    most = max(
        (
            each.elements
            for trace in joint.traces.values()
            for each in trace.sightings
            if isinstance(each, Carried)
        ),
        default=0,
    )
    trace = joint.traces[next(iter(optimizers))]
    owned = trace.optimizers[next(iter(optimizers.values()))].owns
    return most >= max((math.prod(trace.tensors[at].shape) for at in owned), default=0)


def clipped_apart(joint: Joint) -> ClippedApart | None:
    """The first sampled step, if there are more, before which ranks clipped their gradients by
    factors that differ, and averaged them after that."""
    told: list[ClippedApart] = []
    for parts in _same_parts(joint):
        factors = [each.factor for each in parts.values()]
        one_by_one = [each.factors for each in parts.values()]
        apart = max(factors) - min(factors) > APART * max(factors)
        if _clipped_one_by_one(one_by_one) if any(one_by_one) else apart:
            texts = tuple(
                message("ranks.of_rank", rank=rank, text=f"{each.factor:.3g}")
                for rank, each in parts.items()
            )
            part = next(iter(parts.values()))
            told.append(ClippedApart(part.at, part, texts, tuple(joint.traces)))
    return told[0] if len(told) >= OFTEN else None


def _clipped_one_by_one(ranks: list[tuple[float, ...]]) -> bool:
    """Whether elements were made smaller, other ones by other factors, and not by the same on every
    rank: a weight of the rank's batch is one factor, and a mask is the same on all."""
    for factors in ranks:
        known = [each for each in factors if each >= 0]
        within = any(APART < each < 1 - APART for each in known)
        if within and max(known) - min(known) > APART:
            break
    else:
        return False
    return any(
        min(each) >= 0 and max(each) - min(each) > 10 * APART for each in zip(*ranks, strict=False)
    )


def _same_parts(joint: Joint) -> Iterator[dict[int, ClippedPart]]:
    """Those of one step, of the same lines, and measured alike, on all ranks."""
    found: dict[object, dict[int, ClippedPart]] = {}
    for rank, trace in joint.traces.items():
        for each in trace.sightings:
            if isinstance(each, ClippedPart):
                name = trace.optimizers[each.optimizer].name
                by_elements = bool(each.factors)
                key = (name, each.step, each.clipped, each.averaged, by_elements)
                found.setdefault(key, {})[rank] = each
    yield from (each for each in found.values() if len(each) == len(joint.traces))


def only_scheduler(joint: Joint) -> GradientWrite | None:
    """The line that steps a scheduler on some ranks more often than on others; else the only one
    that steps any."""
    rows = [row for row in counts_of(joint, Scheduled, None) if row[1] == "step"]
    unequal = [row for row in rows if len({*row[2].values()}) > 1]
    if not unequal and len(rows) != 1:
        return None
    return GradientWrite((unequal or rows)[0][0], message("ranks.gl303.scheduler"))


def restored_by_some(joint: Joint) -> tuple[GradientWrite | None, tuple[int, ...]]:
    """The line that restored an optimizer's state on some ranks only, and on which."""
    for at, operation, counts in counts_of(joint, Scheduled, None):
        if operation == "load_state_dict" and len(set(counts.values())) > 1:
            most = max(counts.values())
            who = tuple(rank for rank, count in counts.items() if count == most)
            return GradientWrite(at, "load_state_dict()"), who
    return None, ()
