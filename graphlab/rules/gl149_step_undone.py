"""A forward writes over what the optimizer has made of a parameter, or a line puts it all back."""

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
            told = {"rows": each.rows}
            help = Help(message(f"training.gl149.{'leave_out' if each.rows else 'help'}", **told))
            yield Finding(
                *RULE.label,
                summary=message(
                    f"training.gl149.{'all_rows' if each.rows else 'summary'}",
                    name=trace.optimizers[each.optimizer].name,
                    names=several_parameters(trace, each.tensors),
                    **told,
                ),
                tensor=unversioned(trace, each.tensors[0]),
                cause=Place(each.at, message("training.gl149.here")) if each.at else None,
                help=((None if each.rows else real_values_stepped(trace, each)) or help,),
            )


RULE = Rule("GL149", "step-undone", "warning", check)
