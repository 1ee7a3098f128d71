"""Finds the steps whose gradients mix losses that are meant for several optimizers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from graphlab.rules.steps import all_losses_by_name, losses_by_name, own_losses
from graphlab.trace.model import Backward, Mix, Share, Step, Trace

# (optimizer, its own loss, its worst step, that step's mix, the other optimizers' losses)
Mixture = tuple[int, str, Step, Mix, set[str]]

# Shares of the other optimizers' losses below this are not reported.
LEAST_FOREIGN_SHARE = 0.1
# Two losses whose gradients have this cosine or less mostly cancel each other.
MOST_COSINE = -0.5


def harmful(trace: Trace) -> list[Mixture]:
    """Those in which an optimizer's own loss is not lowered, or conflicts, or whose gradients were
    not meant for it."""
    harms = [*_steps_with_mixture(trace, _goes_uphill)]
    # Conflicting losses are reported only if no step went uphill, and once.
    conflicts = [*_steps_with_mixture(trace, _losses_conflict)][:1]
    found = harms or conflicts or [*_steps_with_mixture(trace, _all_parameters, _leaking(trace))]
    found = found or [*_mixed_with_several(trace)]
    return found or [
        each for each in _steps_with_mixture(trace, _all_parameters) if _left_since(trace, *each)
    ]


def every(trace: Trace) -> Iterator[Mixture]:
    """Those of any share."""
    return _steps_with_mixture(trace, lambda mix, mine, others: True)


def _steps_with_mixture(
    trace: Trace,
    bad: Callable[[Mix, str, set[str]], bool],
    leaking: dict[int, set[str]] | None = None,
    own: dict[int, str] | None = None,
) -> Iterator[Mixture]:
    """One for each optimizer of whose sampled steps with mixed gradients at least half are `bad`.
    `leaking` has the losses to look for by optimizer, else all other optimizers' are; `own` has a
    loss of each optimizer."""
    own = own_losses(trace) if own is None else own
    for index, mine in own.items() if len(own) > 1 else ():
        others = {loss for at, loss in own.items() if at != index}
        if leaking is not None:
            others &= leaking.get(index, set())
        mixed = [
            (event, event.mix)
            for event in trace.events
            if isinstance(event, Step)
            and event.optimizer == index
            and event.mix is not None
            and {share.loss for share in event.mix.shares} & others
            and any(share.loss == mine for share in event.mix.shares)
        ]
        found = [(event, mix) for event, mix in mixed if bad(mix, mine, others)]
        if found and 2 * len(found) >= len(mixed):
            event, mix = min(found, key=lambda each: share_of(each[1], mine).cosine_to_total or 0.0)
            yield index, mine, event, mix, others


def share_of(mix: Mix, loss: str) -> Share:
    return next(each for each in mix.shares if each.loss == loss)


def _goes_uphill(mix: Mix, mine: str, others: set[str]) -> bool:
    """Whether the applied gradient has a negative cosine with that of the optimizer's own loss, and
    the step did not lower that loss to first order."""
    foreign = sum(each.share for each in mix.shares if each.loss in others)
    own = share_of(mix, mine)
    uphill = own.change is None or own.change > 0.0
    return (
        foreign >= LEAST_FOREIGN_SHARE
        and own.cosine_to_total is not None
        and own.cosine_to_total < 0.0
        and uphill
    )


def _losses_conflict(mix: Mix, mine: str, others: set[str]) -> bool:
    """Whether the gradient of another optimizer's loss largely cancels that of its own: even if its
    own is larger, each step makes less progress."""
    pair = {frozenset(each[:2]): each[2] for each in mix.cosines}
    return any(
        each.share >= LEAST_FOREIGN_SHARE
        and pair.get(frozenset((mine, each.loss)), 0.0) <= MOST_COSINE
        for each in mix.shares
        if each.loss in others
    )


def _leaking(trace: Trace) -> dict[int, set[str]]:
    """For each optimizer the losses of others that reach it, while its own loss is kept from
    theirs: the program means to train them apart. Losses must be told by their names."""
    return _leaking_among(trace, {at: [loss] for at, loss in losses_by_name(trace).items()})


def _leaking_among(trace: Trace, named: dict[int, list[str]]) -> dict[int, set[str]]:
    reached: dict[str, set[int]] = {}
    for event in trace.events:
        if isinstance(event, Backward):
            reached.setdefault(event.loss, set()).update(event.reached)
    found: dict[int, set[str]] = {}
    for index, mine in named.items():
        for other, losses in named.items():
            theirs = set(trace.optimizers[other].owns)
            if {*mine} & {*losses} or any(reached[each] & theirs for each in mine):
                continue
            leaking = {each for each in losses if reached[each] & theirs}
            if leaking:
                found.setdefault(index, set()).update(leaking)
    return found


def _mixed_with_several(trace: Trace) -> Iterator[Mixture]:
    """Those of an optimizer that has several losses by their names, as ``errD_real`` and
    ``errD_fake``. Each stands for all of them where it has the largest part."""
    named = all_losses_by_name(trace)
    several = {index for index, losses in named.items() if len(losses) > 1}
    if not several:
        return
    leaking = _leaking_among(trace, named)
    own = {index: max(losses, key=partial(_part, trace, index)) for index, losses in named.items()}
    for each in _steps_with_mixture(trace, _all_parameters, leaking, own):
        if each[0] in several:
            yield each


def _part(trace: Trace, index: int, loss: str) -> float:
    """The sum of what a loss has of an optimizer's sampled steps."""
    mixes = [e.mix for e in trace.events if isinstance(e, Step) and e.optimizer == index and e.mix]
    return sum(each.share for mix in mixes for each in mix.shares if each.loss == loss)


def _left_since(
    trace: Trace, index: int, mine: str, event: Step, mix: Mix, others: set[str]
) -> bool:
    """Whether what another's loss has put there was left over from the iteration before: its own
    optimizer has stepped since, and this one's loss has come only then. Losses that are meant to
    train it together come together."""
    foreign = max((s for s in mix.shares if s.loss in others), key=lambda s: s.share).loss
    owner = next(at for at, loss in own_losses(trace).items() if loss == foreign)
    theirs, seen = {*trace.optimizers[owner].owns}, False
    stepped = False
    for each in reversed(trace.events[: trace.events.index(event)]):
        if isinstance(each, Step):
            stepped = stepped or (seen and each.optimizer == owner)
        elif isinstance(each, Backward) and each.loss == mine:
            if theirs & {*each.reached}:
                return False
            seen = True
        elif isinstance(each, Backward) and each.loss == foreign:
            here, then = event.iteration, each.iteration
            return stepped and here is not None and then is not None and then < here
    return False


def _all_parameters(mix: Mix, mine: str, others: set[str]) -> bool:
    """Whether another's loss went through all that the own one trains: a trunk that is shared on
    purpose is a part."""
    own = share_of(mix, mine).parameters
    return any(
        each.share >= LEAST_FOREIGN_SHARE and each.parameters >= own
        for each in mix.shares
        if each.loss in others
    )
