"""A norm layer in training mode was given one value for each channel."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.module_sightings import LoneValues


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, LoneValues):
            continue
        yield Finding(
            *RULE.label,
            summary=message(
                "errors.gl017.summary", name=each.name, shape=str(list(each.shape)), mode=each.mode
            ),
            cause=Place(each.at, message("errors.gl017.called", mode=each.mode)),
            failed=Place(each.failed, each.call),
            help=(
                Help(message("errors.gl017.evaluate", mode=each.mode)),
                Help(message("errors.gl017.train")),
            ),
        )


RULE = Rule("GL017", "one-value-per-channel", "error", check)
