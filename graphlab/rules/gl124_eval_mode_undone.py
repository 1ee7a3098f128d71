"""Norm layers that were frozen in eval mode are back in training mode, by a train() around them."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.rule import Rule
from graphlab.rules.words import line_in_brackets
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.module_sightings import EvalUndone


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, EvalUndone):
            continue
        yield Finding(
            *RULE.label,
            summary=message(
                "training.gl124.summary",
                name=each.name,
                by=each.by,
                line=line_in_brackets(each.at),
                frozen=each.frozen_by,
                before=line_in_brackets(each.frozen_at),
                layers=list(each.layers),
            ),
            cause=Place(each.at, each.by),
            failed=Place(each.call_at, each.call),
            help=(Help(message("training.gl124.help", by=each.by, frozen=each.frozen_by)),),
        )


RULE = Rule("GL124", "eval-mode-undone", "warning", check)
