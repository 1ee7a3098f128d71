"""Backwards reach an optimizer's parameters, and its step() is never called."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.held.scheduled import scheduled_anew
from graphlab.rules.repair.held.stepping import stepped_before_clearing
from graphlab.rules.repair.left_over import add_step, step_of
from graphlab.rules.rule import Rule
from graphlab.rules.steps import NeverStepped, first_step, never_stepped
from graphlab.rules.uncalled import not_called
from graphlab.rules.unused_helpers import unused_helpers, unused_wrappers
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Location, OptimizerInfo, Trace
from graphlab.trace.sightings import Fate


def check(trace: Trace) -> Iterator[Finding]:
    told: dict[tuple[Location | None, bool], list[NeverStepped]] = {}
    for each in never_stepped(trace):
        wrong = each.instead
        place = wrong.at if wrong is not None else each.fate.at
        told.setdefault((place, wrong is not None), []).append(each)
    yield from _scheduled_in_vain(trace)
    yield from unused_helpers(trace, RULE.label)
    yield from unused_wrappers(trace, RULE.label)
    for each, *others in told.values():
        name = trace.optimizers[each.optimizer].name
        if each.said is not None:
            yield _held_back(each, name)
            continue
        wrong = each.instead
        if wrong is not None:
            other = trace.optimizers[wrong.optimizer].name
            words = {"name": name, "call": each.fate.call, "other": other}
            summary = message("training.gl111.instead", **words)
            edit = step_of(trace, wrong.at, other, name)
            place = Place(wrong.at, f"{other}.step()")
        else:
            summary = message("training.gl111.nobody", name=name, call=each.fate.call)
            edit = add_step(trace, each.fate.at, name)
            place = Place(each.fate.at, each.fate.call)
            place = _in_its_place(trace.optimizers[each.optimizer], each.fate) or place
        # A scheduler has a step() as well.
        own = name.rpartition(".")[2]
        named = not_called(trace, "step", own.__eq__) if wrong is None else None
        if named is not None:
            place, edit = named
        also = [
            message("training.gl111.either", name=trace.optimizers[one.optimizer].name)
            for one in others
        ]
        code, title, severity = RULE.label
        yield Finding(
            code,
            title,
            severity if each.sure or wrong is not None else "info",
            summary=summary,
            failed=Place(each.fate.at, each.fate.call),
            cause=place,
            help=(edit or Help(message("training.gl111.help", name=name, call=each.fate.call)),),
            notes=tuple(also),
            others=tuple(stepped_before_clearing(trace, each.fate)) if wrong is None else (),
        )


def _held_back(each: NeverStepped, name: str) -> Finding:
    words = {"name": name, "count": each.fate.backwards}
    return Finding(
        *RULE.label,
        summary=message("training.gl111.held_back", **words),
        failed=Place(each.fate.at, each.fate.call),
        cause=Place(each.said, f"{name}.step()"),
        help=(Help(message("training.gl111.let_it", name=name)),),
    )


def _in_its_place(optimizer: OptimizerInfo, fate: Fate) -> Place | None:
    """The step() of a scheduler that is called about as often as the backward: that is taken for
    the optimizer's."""
    if optimizer.scheduled_at is None or 2 * optimizer.scheduled < fate.backwards:
        return None
    return Place(optimizer.scheduled_at, message("training.gl111.scheduler", name=optimizer.name))


def _scheduled_in_vain(trace: Trace) -> Iterator[Finding]:
    for each in trace.optimizers:
        if each.in_vain is None:
            continue
        other = trace.optimizers[each.in_vain]
        step = first_step(trace, each.in_vain)
        yield Finding(
            *RULE.label,
            summary=message("training.gl111.in_vain", name=each.name, other=other.name),
            failed=Place(step.at, f"{other.name}.step()") if step is not None else None,
            cause=Place(other.at, message("words.built", name=other.name)),
            help=(Help(message("training.gl111.schedule_it", other=other.name)),),
            others=tuple(scheduled_anew(trace, step.at if step is not None else None)),
        )


RULE = Rule("GL111", "optimizer-never-steps", "warning", check)
