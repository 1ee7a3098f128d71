"""Two optimizers stepped the same parameter."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.held.building import hold_less
from graphlab.rules.rule import Rule
from graphlab.rules.steps import first_per_optimizer, last_step, unversioned
from graphlab.rules.words import several_parameters
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace


def check(trace: Trace) -> Iterator[Finding]:
    told: set[frozenset[int]] = set()
    for step in first_per_optimizer(trace, lambda step: bool(step.shared)):
        other = step.shared_with
        pair = frozenset((step.optimizer, other if other is not None else -1))
        if other is None or pair in told:
            continue
        told.add(pair)
        if _joint(trace, step.optimizer) or _joint(trace, other):
            continue
        one, two = sorted((step.optimizer, other))
        first, second = trace.optimizers[one], trace.optimizers[two]
        stepped = last_step(trace, two) or step
        yield Finding(
            *RULE.label,
            summary=message(
                "training.gl107.summary",
                first=first.name,
                second=second.name,
                names=several_parameters(trace, step.shared),
            ),
            iteration=step.iteration,
            tensor=unversioned(trace, step.shared[0]),
            failed=Place(stepped.at, f"{second.name}.step()"),
            cause=Place(second.at, message("words.built", name=second.name)) if second.at else None,
            help=(Help(message("training.gl107.help", first=first.name, second=second.name)),),
            others=tuple(_others(trace, one, two)),
        )


def _others(trace: Trace, one: int, two: int) -> Iterator[Help]:
    first, second = set(trace.optimizers[one].owns), set(trace.optimizers[two].owns)
    if second < first:
        yield from hold_less(trace, one, two)
    elif first != second:
        yield from hold_less(trace, two, one)


def _joint(trace: Trace, index: int) -> bool:
    """Whether an optimizer holds exactly the parameters of several others together. That is on
    purpose: a further loss for all of their networks, as in InfoGAN."""
    mine = set(trace.optimizers[index].owns)
    parts = [
        set(each.owns)
        for at, each in enumerate(trace.optimizers)
        if at != index and each.owns and mine >= set(each.owns)
    ]
    return len(parts) > 1 and mine == set().union(*parts)


RULE = Rule("GL107", "parameter-in-two-optimizers", "warning", check)
