"""A loss that takes labels of 1 and -1 was given 1 and 0, or one was given the labels first."""

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
            kind = "swapped" if each.swapped else ""
            yield Finding(
                *RULE.label,
                summary=message(f"training.gl131.{kind or 'summary'}", loss=each.loss),
                cause=Place(each.at, message("words.the_loss")),
                help=(Help(message(f"training.gl131.{kind and 'swapped_'}help")),),
            )


RULE = Rule("GL131", "labels-without-loss", "warning", check)
