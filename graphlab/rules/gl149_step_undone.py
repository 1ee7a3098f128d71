"""A forward writes over what the optimizer has made of a parameter."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.trained.undone_steps import real_values_stepped
from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.rules.words import several_parameters
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.module_sightings import StepUndone


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if isinstance(each, StepUndone):
            yield Finding(
                *RULE.label,
                summary=message(
                    "training.gl149.summary",
                    name=trace.optimizers[each.optimizer].name,
                    names=several_parameters(trace, each.tensors),
                ),
                tensor=unversioned(trace, each.tensors[0]),
                cause=Place(each.at, message("training.gl149.here")) if each.at else None,
                help=(real_values_stepped(trace, each) or Help(message("training.gl149.help")),),
            )


RULE = Rule("GL149", "step-undone", "warning", check)
