"""A loss that takes labels of 1 and -1 was given 1 and 0."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.sightings import ZeroLabels


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if isinstance(each, ZeroLabels):
            yield Finding(
                *RULE.label,
                summary=message("training.gl131.summary", loss=each.loss),
                cause=Place(each.at, message("words.the_loss")),
                help=(Help(message("training.gl131.help")),),
            )


RULE = Rule("GL131", "labels-without-loss", "warning", check)
