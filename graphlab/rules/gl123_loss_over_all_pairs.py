"""A loss is of all pairs of its predictions and targets, or weights, as shapes were broadcast."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.trained.pairs import without_last_dimension
from graphlab.rules.rule import Rule
from graphlab.rules.words import line_in_brackets
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.sightings import BroadcastLoss


def check(trace: Trace) -> Iterator[Finding]:
    told: set[tuple[object, ...]] = set()
    for each in trace.sightings:
        if not isinstance(each, BroadcastLoss) or each.at is None:
            continue
        # A library's training and its validation have one line of the user's.
        key = each.at, each.prediction, each.result, each.weight
        if key in told:
            continue
        told.add(key)
        column = len(each.prediction) == len(each.result)
        what = "product" if each.weight else "summary"
        help = "weights" if each.weight else "column" if column else "row"
        yield Finding(
            *RULE.label,
            summary=message(
                f"training.gl123.{what}",
                prediction=str(list(each.prediction)),
                result=str(list(each.result)),
                line=line_in_brackets(each.at),
                weight=str(list(each.weight)),
            ),
            cause=Place(each.at, message("training.gl123.compared")),
            failed=Place(each.call_at, each.call) if each.call_at is not None else None,
            help=(Help(message(f"training.gl123.{help}")),),
            others=tuple(without_last_dimension(trace, each)),
        )


RULE = Rule("GL123", "loss-over-all-pairs", "warning", check)
