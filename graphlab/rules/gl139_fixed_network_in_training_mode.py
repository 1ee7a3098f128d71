"""A network that nothing trains runs in training mode, as a teacher beside its student."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.module_sightings import EvalUndone, FixedInTraining


def check(trace: Trace) -> Iterator[Finding]:
    # GL124 tells which train() woke it.
    told = {each.name for each in trace.sightings if isinstance(each, EvalUndone)}
    for each in trace.sightings:
        if not isinstance(each, FixedInTraining) or each.name in told:
            continue
        yield Finding(
            *RULE.label,
            summary=message(
                f"training.gl139.{'moves' if each.moves else 'drops'}",
                name=each.name,
                layers=list(each.layers),
                count=len(each.layers),
            ),
            cause=Place(each.at, message("training.gl139.called", name=each.name))
            if each.at is not None
            else None,
            help=(Help(message("training.gl139.help", name=each.name)),),
        )


RULE = Rule("GL139", "fixed-network-in-training-mode", "warning", check)
