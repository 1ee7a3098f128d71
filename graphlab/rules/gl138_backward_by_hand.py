"""A backward of the program's own goes past the chain rule, or is called by nobody."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.trained.own_backward import as_a_function
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.functions.sightings import OwnBackward
from graphlab.trace.model import Trace


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, OwnBackward):
            continue
        how = "uncalled" if each.uncalled else "unread"
        yield Finding(
            *RULE.label,
            summary=message(f"training.gl138.{how}", owner=each.owner, given=each.given),
            cause=Place(each.at, f"{each.owner}.backward()"),
            help=(Help(message(f"training.gl138.help_{how}", owner=each.owner, given=each.given)),),
            others=tuple(as_a_function(trace, each)),
        )


RULE = Rule("GL138", "backward-by-hand", "warning", check)
