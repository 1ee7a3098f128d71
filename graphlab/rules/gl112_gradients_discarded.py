"""Gradients that a step should have applied were cleared before any step."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.held.clearing import cleared_elsewhere
from graphlab.rules.repair.left_over import clear_after_step
from graphlab.rules.rule import Rule
from graphlab.rules.steps import first_step, never_stepped
from graphlab.source.grad_reads import takes_gradients
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Backward, Location, Step, Trace
from graphlab.trace.sightings import Fate, Starved


def check(trace: Trace) -> Iterator[Finding]:
    told: set[Location | None] = set()
    # GL111 tells of a step that is missing for some of the parameters.
    never = {each.optimizer for each in never_stepped(trace)}
    for each in trace.sightings:
        if isinstance(each, Starved) and each.cleared is not None and each.cleared not in told:
            told.add(each.cleared)
            yield _all_lost(trace, each)
        elif isinstance(each, Fate) and _by_turns(each) and not never & set(each.holders):
            file = each.at.file if each.at is not None else ""
            if takes_gradients(trace.sources.get(file, "")):
                # It has used them in its own way before they are cleared.
                continue
            yield _some_lost(trace, each)


def _by_turns(fate: Fate) -> bool:
    """Whether between any two backwards whose gradients are applied there are some whose gradients
    the same call clears: a program that leaves out a bad batch does so now and then only."""
    regular = fate.applied >= 3 or (fate.applied == 2 and fate.discarded >= 4)
    return (
        regular
        and fate.least_between > 0
        and fate.discarded >= fate.applied
        and fate.clears_applied
        and fate.cleared is not None
    )


def _some_lost(trace: Trace, fate: Fate) -> Finding:
    parts = 1 + round(fate.discarded / fate.applied)
    step = next((s for at in fate.holders if (s := first_step(trace, at)) is not None), None)
    edit = clear_after_step(trace, fate.cleared, step.at) if step is not None else None
    return Finding(
        *RULE.label,
        summary=message(
            "training.gl112.some",
            by=fate.cleared_by,
            call=fate.call,
            all=fate.discarded + fate.applied,
            lost=fate.discarded,
        ),
        tensor=None,
        failed=Place(fate.at, fate.call),
        cause=Place(fate.cleared, fate.cleared_by),
        help=(edit or Help(message("training.gl112.once_per_step", count=parts)),),
        others=tuple(cleared_elsewhere(trace, fate.cleared)),
        measured={"applied": fate.applied, "discarded": fate.discarded},
    )


def _all_lost(trace: Trace, each: Starved) -> Finding:
    optimizer = trace.optimizers[each.optimizer]
    name = optimizer.name
    before = _backward_before_its_steps(trace, each.optimizer)
    if before is not None and before.reached and not set(before.reached) & set(optimizer.owns):
        return Finding(
            *RULE.label,
            summary=message(
                "training.gl112.elsewhere", name=name, before=before.call, call=each.call
            ),
            failed=Place(before.at, before.call),
            cause=Place(optimizer.at, message("words.built", name=name)),
            help=(
                Help(
                    message("training.gl112.give_it", name=name, before=before.call, call=each.call)
                ),
            ),
        )
    return Finding(
        *RULE.label,
        summary=message("training.gl112.all", by=each.cleared_by, call=each.call, name=name),
        failed=Place(each.at, each.call),
        cause=Place(each.cleared, each.cleared_by),
        help=(Help(message("training.gl112.not_between", name=name)),),
        others=tuple(cleared_elsewhere(trace, each.cleared)),
    )


def _backward_before_its_steps(trace: Trace, optimizer: int) -> Backward | None:
    last: Backward | None = None
    for event in trace.events:
        if isinstance(event, Backward):
            last = event
        elif isinstance(event, Step) and event.optimizer == optimizer:
            return last
    return None


RULE = Rule("GL112", "gradients-discarded", "warning", check)
