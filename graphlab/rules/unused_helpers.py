"""What a training loop made for itself and never used: GL111 tells of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.left_over import step_of
from graphlab.source.effects.idle.unread import unread_helpers
from graphlab.trace.finding import Finding, Help, Place, Severity
from graphlab.trace.model import Step, Trace
from graphlab.trace.steps.sightings import ScheduleOff, SteppedPast

# A shorter run may end before a moving average is to begin; what no file names never begins.
LEAST_STEPS, LEAST_UNREAD = 12, 6


def unused_helpers(trace: Trace, label: tuple[str, str, Severity]) -> Iterator[Finding]:
    """Said of a run that went to its end, and of lines above the steps of a function."""
    if trace.outcome != "completed" or any(isinstance(e, ScheduleOff) for e in trace.sightings):
        return
    told: set[str] = set()
    for event in trace.events:
        if not isinstance(event, Step) or event.at is None:
            continue
        steps = trace.optimizers[event.optimizer].steps
        if steps < LEAST_UNREAD:
            continue
        place = f"{event.at.file}:{event.at.line}"
        if place in told:
            continue
        told.add(place)
        for each in unread_helpers(trace.sources, event.at.file, event.at.line):
            if each.name in told or (each.read and steps < LEAST_STEPS):
                continue
            told.add(each.name)
            call = f"{each.name}.{each.method}"
            word = "only_read" if each.read else "unread"
            yield Finding(
                *label,
                summary=message(f"training.gl111.{word}", name=each.name, kind=each.kind),
                cause=Place(each.at, message("words.built", name=each.name)),
                failed=Place(event.at, event.at.code),
                help=(Help(message("training.gl111.help_unread", call=call)),),
            )


def unused_wrappers(trace: Trace, label: tuple[str, str, Severity]) -> Iterator[Finding]:
    """Wrappers of optimizers that are stepped past, and whose own step() no file names."""
    for each in trace.sightings:
        if not isinstance(each, SteppedPast):
            continue
        name = each.wrapper
        own = re.compile(rf"\b{re.escape(name)}\.step\b")
        if each.at is None or any(map(own.search, trace.sources.values())):
            continue
        other = trace.optimizers[each.optimizer].name
        edit = step_of(trace, each.at, other, name)
        call = f"{name}.step()"
        yield Finding(
            *label,
            summary=message("training.gl111.stepped_past", name=name, other=other),
            cause=Place(each.at, f"{other}.step()"),
            help=(edit or Help(message("training.gl111.help_past", call=call, other=other)),),
        )
