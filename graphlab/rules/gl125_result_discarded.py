"""A statement computed something of a tensor, stored it nowhere and changed nothing."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.sightings import ResultDiscarded


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if isinstance(each, ResultDiscarded):
            yield Finding(
                *RULE.label,
                summary=message("training.gl125.summary", call=each.call),
                cause=Place(each.at, each.call),
                help=(
                    Help(
                        message(
                            f"training.gl125.{'store' if each.stored else 'help'}",
                            written=each.written,
                        )
                    ),
                ),
            )


RULE = Rule("GL125", "result-discarded", "warning", check)
