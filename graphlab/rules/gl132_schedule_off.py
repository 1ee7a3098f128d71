"""A schedule of the learning rate was stepped too seldom, or so often that the rate was gone."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.sightings import ScheduleOff


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, ScheduleOff):
            continue
        what = "seldom" if each.planned else "zeroed" if each.zeroed else "gone"
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
            ),
            cause=Place(each.at, message("training.gl132.stepped")) if each.at else None,
            help=(Help(message(f"training.gl132.help_{what}")),),
        )


RULE = Rule("GL132", "schedule-off", "warning", check)
