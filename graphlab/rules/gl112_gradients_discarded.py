"""Gradients that a step should have applied were cleared before any step."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.rules.repair.examples.missing_backward import with_backward
from graphlab.rules.repair.examples.outside import Outside, step_outside, stepped_inside
from graphlab.rules.repair.held.clearing import cleared_elsewhere
from graphlab.rules.repair.held.stepping import stepped_too_early
from graphlab.rules.repair.left_over import clear_after_step
from graphlab.rules.rule import Rule
from graphlab.rules.steps import first_step, never_stepped
from graphlab.source.grad_reads import takes_gradients
from graphlab.source.wording import call_text
from graphlab.trace.examples.sightings import NeverBack
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Backward, Location, Step, Trace
from graphlab.trace.sightings import Starved
from graphlab.trace.steps.sightings import Fate

# As often must a line's gradients have been cleared.
LEAST = 4
# The part of all backwards that must have been left over for them to be worth a word.
LEFT = 0.05
# What uses gradients beside an optimizer's steps.
_LOOKED_AT = re.compile(r"\.grad\b(?!\s*=[^=])|hook|autograd\.grad")


def check(trace: Trace) -> Iterator[Finding]:
    told: set[Location | None] = set()
    # GL111 tells of a step that is missing for some of the parameters.
    never = {each.optimizer for each in never_stepped(trace)}
    late = {
        e.optimizer: e for e in trace.sightings if isinstance(e, NeverBack) and _is_late(trace, e)
    }
    for back in late.values():
        if back.after not in told:
            told.add(back.after)
            yield _too_late(trace, back)
    for each in trace.sightings:
        if isinstance(each, Starved) and each.optimizer in late:
            continue
        if isinstance(each, Starved) and each.cleared is not None and each.cleared not in told:
            told.add(each.cleared)
            yield _all_lost(trace, each)
        elif isinstance(each, Fate) and (outside := _step_outside(trace, each)) is not None:
            if outside.sure:
                yield _one_step(trace, each, outside)
            elif _by_turns(each) and not never & set(each.holders):
                yield _some_lost(trace, each, outside)
        elif isinstance(each, Fate) and each.rarer:
            continue
        elif isinstance(each, Fate) and _by_turns(each) and not never & set(each.holders):
            file = each.at.file if each.at is not None else ""
            if takes_gradients(trace.sources.get(file, "")):
                # It has used them in its own way before they are cleared.
                continue
            yield _some_lost(trace, each)
        elif isinstance(each, Fate) and each.cleared not in told and _in_vain(trace, each):
            yield _never_applied(trace, each)
        elif isinstance(each, Fate) and each.left * each.times >= LEFT * max(each.all, 1):
            file = each.at.file if each.at is not None else ""
            if each.left and not takes_gradients(trace.sources.get(file, "")):
                yield _left_over(trace, each)


def _is_late(trace: Trace, each: NeverBack) -> bool:
    """Whether its loss runs backward when several steps are over; what a backward in each turn
    writes is cleared."""
    fates = [e for e in trace.sightings if isinstance(e, Fate) and e.at == each.after]
    return each.after is not None and all(2 * e.backwards < min(each.steps, 64) for e in fates)


def _too_late(trace: Trace, each: NeverBack) -> Finding:
    words = {"name": trace.optimizers[each.optimizer].name, "call": each.call}
    return Finding(
        *RULE.label,
        summary=message("training.gl112.too_late", **words, count=each.steps),
        failed=Place(each.at, f"{words['name']}.step()"),
        cause=Place(each.after, each.call),
        help=(
            with_backward(trace, each) or Help(message("training.gl112.before_its_step", **words)),
        ),
    )


def _step_outside(trace: Trace, fate: Fate) -> Outside | None:
    """The step that stands behind the loop in which zero_grad() clears the backwards of a line."""
    if fate.discarded < LEAST or fate.discarded < 3 * fate.applied:
        return None
    if not fate.cleared_by.endswith(".zero_grad()"):
        return None
    return step_outside(trace, fate)


def _one_step(trace: Trace, fate: Fate, outside: Outside) -> Finding:
    name = trace.optimizers[outside.optimizer].name
    words = {"name": name, "line": outside.loop.lineno, "by": fate.cleared_by, "call": fate.call}
    return Finding(
        *RULE.label,
        summary=message("training.gl112.outside", **words, lost=fate.discarded, all=fate.backwards),
        tensor=None,
        failed=Place(fate.at, fate.call),
        cause=Place(outside.step, message("training.gl112.behind", line=outside.loop.lineno)),
        help=(stepped_inside(outside) or Help(message("training.gl112.step_inside", **words)),),
        measured={"applied": fate.applied, "discarded": fate.discarded},
    )


def _in_vain(trace: Trace, fate: Fate) -> bool:
    """Whether zero_grad() clears all that the backwards of a line write, while steps between them
    apply what others write to the same parameters: a loss whose backward comes after the step. A
    program that looks at gradients, or writes to parameters itself (SAM), has its own use of them;
    a gradient of an input is asked for by an attack; and where another optimizer steps as well,
    the loss may be its, though it leads elsewhere (GL110)."""
    if fate.applied or fate.discarded < LEAST or not fate.cleared_by.endswith(".zero_grad()"):
        return False
    holders = [trace.optimizers[at] for at in fate.holders]
    owned = {tensor for each in holders for tensor in each.owns}
    if not holders or any(each.by_hand or not each.fed for each in holders):
        return False
    if any(_LOOKED_AT.search(source) for source in trace.sources.values()):
        return False
    stepped, seen = True, 0
    for event in trace.events:
        if isinstance(event, Step):
            if event.optimizer not in fate.holders:
                return False
            stepped = True
        elif isinstance(event, Backward) and event.at == fate.at and fate.at is not None:
            if not stepped or not event.reached or not owned.issuperset(event.reached):
                return False
            stepped, seen = False, seen + 1
    return seen > 1


def _never_applied(trace: Trace, fate: Fate) -> Finding:
    step = next((s for at in fate.holders if (s := first_step(trace, at)) is not None), None)
    name = trace.optimizers[fate.holders[0]].name
    return Finding(
        *RULE.label,
        summary=message(
            "training.gl112.never", by=fate.cleared_by, call=fate.call, count=fate.discarded
        ),
        tensor=None,
        failed=Place(fate.at, fate.call),
        cause=Place(fate.cleared, fate.cleared_by),
        help=(Help(message("training.gl112.before_step", call=fate.call, name=name)),),
        notes=(message("training.gl112.stepped", name=name, line=step.at.line),)
        if step is not None and step.at is not None
        else (),
        measured={"applied": 0, "discarded": fate.discarded},
    )


def _left_over(trace: Trace, fate: Fate) -> Finding:
    step = next((s for at in fate.holders if (s := first_step(trace, at)) is not None), None)
    by = call_text(fate.left_at, "zero_grad")[0] if fate.left_at is not None else "zero_grad()"
    name = trace.optimizers[fate.holders[0]].name
    return Finding(
        *RULE.label,
        summary=message(
            "training.gl112.left_over",
            by=by,
            call=fate.call,
            left=fate.left,
            times=fate.times,
            window=fate.window,
            name=name,
        ),
        tensor=None,
        failed=Place(fate.at, fate.call),
        cause=Place(fate.left_at, by),
        help=(Help(message("training.gl112.step_for_rest", name=name, left=fate.left)),),
        notes=(message("training.gl112.stepped_here", name=name, line=step.at.line),)
        if step is not None and step.at is not None
        else (),
        measured={"left": fate.left, "times": fate.times, "window": fate.window},
    )


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


def _some_lost(trace: Trace, fate: Fate, outside: Outside | None = None) -> Finding:
    parts = 1 + round(fate.discarded / fate.applied)
    step = next((s for at in fate.holders if (s := first_step(trace, at)) is not None), None)
    edit = clear_after_step(trace, fate.cleared, step.at) if step is not None else None
    others = [*cleared_elsewhere(trace, fate.cleared, step.at if step is not None else None)]
    if outside is not None:
        # Each turn is to be stepped on, or all of them together.
        either = message("fix.meant.each_turn", line=outside.loop.lineno)
        ways = (edit, stepped_inside(outside), *others)
        others = [replace(each, choice=either) for each in ways if each is not None]
        edit = others.pop(0) if others else None
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
        others=tuple(others),
        measured={"applied": fate.applied, "discarded": fate.discarded},
    )


def _all_lost(trace: Trace, each: Starved) -> Finding:
    optimizer = trace.optimizers[each.optimizer]
    name = optimizer.name
    step = first_step(trace, each.optimizer)
    early = stepped_too_early(trace, step.at if step is not None else None, each.at)
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
                early
                or Help(
                    message("training.gl112.give_it", name=name, before=before.call, call=each.call)
                ),
            ),
        )
    return Finding(
        *RULE.label,
        summary=message("training.gl112.all", by=each.cleared_by, call=each.call, name=name),
        failed=Place(each.at, each.call),
        cause=Place(each.cleared, each.cleared_by),
        help=(early or Help(message("training.gl112.not_between", name=name)),),
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
