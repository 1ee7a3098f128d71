"""A network is trained through what its own loss is to take as a number."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.mixtures import harmful
from graphlab.rules.repair.trained.as_number import detached, kept_apart
from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.rules.words import several_parameters
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Backward, Step, Trace
from graphlab.trace.module_sightings import TrainedAsNumber
from graphlab.trace.sightings import ResultDiscarded


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, TrainedAsNumber) or _thrown_away(trace, each):
            continue
        if each.what == "critic" and harmful(trace):
            # GL101 has measured what that does to the critic's own loss.
            continue
        if _applied(trace, each) and not _shares_its_name(trace, each):
            edit = kept_apart(trace, each) if each.what == "critic" else detached(trace, each)
            yield Finding(
                *RULE.label,
                summary=message(
                    f"training.gl140.{each.what}", names=several_parameters(trace, each.tensors)
                ),
                tensor=unversioned(trace, each.tensors[0]),
                cause=Place(each.at, message(f"training.gl140.{each.what}_here")),
                failed=Place(each.call_at, each.call) if each.at != each.call_at else None,
                help=(edit or Help(message(f"training.gl140.help_{each.what}")),),
            )


def _thrown_away(trace: Trace, each: TrainedAsNumber) -> bool:
    """Whether the function detaches, and throws that away: GL125 tells of it."""
    return any(
        isinstance(other, ResultDiscarded)
        and other.at is not None
        and each.at is not None
        and other.at.file == each.at.file
        and other.at.function.rpartition(".")[2] == each.at.function.rpartition(".")[2]
        and "detach" in other.call
        for other in trace.sightings
    )


def _applied(trace: Trace, each: TrainedAsNumber) -> bool:
    """Whether a step has applied such gradients: some programs clear them before their own loss's
    are there."""
    held = {
        at for at, optimizer in enumerate(trace.optimizers) if {*optimizer.owns} & {*each.tensors}
    }
    return any(
        isinstance(event, Step) and event.optimizer in held and each.loss in event.sources
        for event in trace.events
    )


def _shares_its_name(trace: Trace, each: TrainedAsNumber) -> bool:
    """Whether the critic's own loss has the name of the actor's: a step tells its losses by name,
    and each of a GAN's two methods may call its own ``loss``, as may one line for both."""
    if each.what != "critic":
        return False
    kinds = {
        (event.at, frozenset(event.reached))
        for event in trace.events
        if isinstance(event, Backward)
        and event.loss == each.loss
        and {*event.reached} & {*each.tensors}
    }
    return len(kinds) > 1 or any(at != each.call_at for at, _ in kinds)


RULE = Rule("GL140", "trained-as-a-number", "warning", check)
