"""Scores were viewed in the shape that a loss takes, and not transposed."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.sightings import ScoresMixed


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if isinstance(each, ScoresMixed):
            yield Finding(
                *RULE.label,
                summary=message(
                    "training.gl130.summary",
                    before=str(list(each.before)),
                    after=str(list(each.after)),
                ),
                cause=Place(each.at, message("training.gl130.view")),
                failed=Place(each.call_at, each.call) if each.call_at is not None else None,
                help=(Help(message("training.gl130.help")),),
            )


RULE = Rule("GL130", "scores-viewed", "warning", check)
