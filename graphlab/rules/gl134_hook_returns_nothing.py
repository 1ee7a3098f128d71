"""A hook computed what was to take the place of a tensor, and did not return it."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.asked.hooks import return_from_hook
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.sightings import HookUnreturned


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, HookUnreturned):
            continue
        edit = return_from_hook(trace, each)
        yield Finding(
            *RULE.label,
            summary=message("training.gl134.summary", function=each.function, name=each.name),
            cause=Place(each.at, f"{each.function}()"),
            help=(edit or Help(message("training.gl134.help", name=each.name)),),
        )


RULE = Rule("GL134", "hook-returns-nothing", "warning", check)
