"""An optimizer stepped on gradients that a GradScaler has scaled and nobody has unscaled."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.held.scaling import step_by_scaler
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.sightings import ScaledStep


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, ScaledStep):
            continue
        name = trace.optimizers[each.optimizer].name
        edit = step_by_scaler(trace, each)
        yield Finding(
            *RULE.label,
            summary=message("training.gl133.summary", name=name, scale=each.scale),
            failed=Place(each.at, f"{name}.step()"),
            cause=Place(each.call_at, each.call),
            help=(edit or Help(message("training.gl133.help", name=name)),),
        )


RULE = Rule("GL133", "scaled-gradients-applied", "warning", check)
