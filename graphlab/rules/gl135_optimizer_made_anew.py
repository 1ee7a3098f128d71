"""An optimizer was made anew in each epoch, for the same parameters."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.begun_again import trainings_begun_again, weights_drawn_anew
from graphlab.rules.repair.held.before_loop import made_before_loop
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.sightings import OptimizerRemade


def check(trace: Trace) -> Iterator[Finding]:
    yield from trainings_begun_again(trace, RULE.label)
    yield from weights_drawn_anew(trace, RULE.label)
    for each in trace.sightings:
        if not isinstance(each, OptimizerRemade):
            continue
        optimizer = trace.optimizers[each.optimizer]
        edit = made_before_loop(trace, each, optimizer.name)
        apart = each.loop is not None and each.loop != each.at
        yield Finding(
            *RULE.label,
            summary=message(
                "training.gl135.summary",
                name=optimizer.name,
                times=each.times,
                kind=optimizer.class_name,
            ),
            cause=Place(each.at, optimizer.name),
            failed=Place(each.loop, message("training.gl135.loop")) if apart else None,
            help=(edit or Help(message("training.gl135.help")),),
        )


RULE = Rule("GL135", "optimizer-made-anew", "warning", check)
