"""A schedule of the rate is stepped never, too seldom, early or often, misplaced or turned."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.held.scheduled import (
    once_an_epoch,
    scheduled_for,
    scheduled_last,
    step_of_wrapper,
    stepped_each_epoch,
    steps_in_turn,
    waits_for_less,
)
from graphlab.rules.rule import Rule
from graphlab.rules.uncalled import not_called
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Step, Trace
from graphlab.trace.module_sightings import ScheduledTwice
from graphlab.trace.steps.sightings import ScheduleOff


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if isinstance(each, ScheduledTwice):
            yield _twice(trace, each)
        if not isinstance(each, ScheduleOff):
            continue
        if each.loss:
            yield _upwards(trace, each)
            continue
        if each.unset:
            yield _unset(trace, each)
            continue
        if each.early:
            yield from _early(trace, each)
            continue
        if each.never:
            yield _idle(trace, each)
            continue
        what = "seldom" if each.planned else "zeroed" if each.zeroed else "gone"
        what = "epochs" if each.epochs else what
        never = what == "gone" and not each.gone
        if never:
            what = "never" if each.count else "unstepped"
        edit = once_an_epoch(trace, each) if what in ("epochs", "gone") else None
        yield Finding(
            *RULE.label,
            summary=message(
                f"training.gl132.{what}",
                optimizer=trace.optimizers[each.optimizer].name,
                steps=each.steps,
                planned=each.planned,
                count=each.count,
                gone=each.gone,
                rate=each.rate,
                epochs=each.epochs,
            ),
            cause=Place(
                each.at, message(f"training.gl132.{'planned' if never or each.plan else 'stepped'}")
            )
            if each.at
            else None,
            help=(edit or Help(message(f"training.gl132.help_{'plan' if each.plan else what}")),),
        )


def _twice(trace: Trace, each: ScheduledTwice) -> Finding:
    name, other = (trace.optimizers[at].name for at in (each.optimizer, each.other))
    first = Place(each.first, message("training.gl132.planned")) if each.first else None
    edit = scheduled_for(trace, each.at, name, other)
    return Finding(
        *RULE.label,
        summary=message("training.gl132.twice", optimizer=name, other=other),
        failed=first,
        cause=Place(each.at, message("training.gl132.again")) if each.at else None,
        help=(edit or Help(message("training.gl132.help_twice", other=other)),),
    )


def _upwards(trace: Trace, each: ScheduleOff) -> Finding:
    return Finding(
        *RULE.label,
        summary=message(
            "training.gl132.upwards",
            optimizer=trace.optimizers[each.optimizer].name,
            loss=each.loss,
            count=each.count,
        ),
        cause=Place(each.at, message("training.gl132.planned")) if each.at else None,
        help=(waits_for_less(trace, each.at) or Help(message("training.gl132.help_upwards")),),
    )


def _unset(trace: Trace, each: ScheduleOff) -> Finding:
    """A rate of 0 that what wraps the optimizer was to set."""
    name, past = trace.optimizers[each.optimizer].name, each.named.endswith(".step")
    word = f"{name}.step()" if past else message("words.built", name=name)
    key = "help_past" if past else "help_setter" if each.named else "help_rate"
    return Finding(
        *RULE.label,
        summary=message("training.gl132.unset", optimizer=name, steps=each.steps),
        cause=Place(each.at, word) if each.at else None,
        help=(Help(message(f"training.gl132.{key}", optimizer=name, setter=f"{each.named}()")),),
        others=tuple(step_of_wrapper(trace, each.at)) if past else (),
    )


def _idle(trace: Trace, each: ScheduleOff) -> Finding:
    name = trace.optimizers[each.optimizer].name
    word = message("training.gl132.planned")
    edit = stepped_each_epoch(trace, each) if not each.named else None
    repair = edit or Help(message("training.gl132.help_unstepped"))
    if each.named and each.at is not None:
        word = message("words.not_called", name=each.named)
        named = not_called(trace, "step", lambda owner: owner != name.rpartition(".")[2])
        repair = named[1] if named is not None else repair
    return Finding(
        *RULE.label,
        summary=message("training.gl132.idle", optimizer=name, steps=each.steps),
        cause=Place(each.at, word) if each.at else None,
        help=(repair,),
    )


def _early(trace: Trace, each: ScheduleOff) -> Iterator[Finding]:
    both = steps_in_turn(trace, each)
    if both is None and Rewriting.of(trace, each.at) is not None:
        return
    name = trace.optimizers[each.optimizer].name
    steps = (e.at for e in trace.events if isinstance(e, Step) and e.optimizer == each.optimizer)
    step = next(steps, None)
    edit = scheduled_last(both) if both is not None else None
    yield Finding(
        *RULE.label,
        summary=message("training.gl132.early", optimizer=name, rate=each.rate),
        failed=Place(step, f"{name}.step()") if step is not None else None,
        cause=Place(each.at, message("training.gl132.stepped")) if each.at else None,
        help=(edit or Help(message("training.gl132.help_early", optimizer=name)),),
    )


RULE = Rule("GL132", "schedule-off", "warning", check)
