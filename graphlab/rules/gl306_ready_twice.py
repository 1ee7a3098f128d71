"""DistributedDataParallel met a second gradient of a parameter in one backward."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.language.lists import listing
from graphlab.rules.repair.ranks.options import without_reentrance
from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.rules.words import parameter_word
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.ranks.sightings import ReadyTwice


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, ReadyTwice):
            continue
        name = parameter_word(trace, each.tensor)
        lines = [str(place.line) for place in each.uses]
        words = {
            "name": name,
            "wrapper": each.wrapper,
            "lines": message("ranks.gl306.lines", lines=listing(lines), count=len(lines)),
        }
        why = each.why if each.why in ("outside", "hidden") else "twice"
        failure = trace.exception
        yield Finding(
            *RULE.label,
            summary=message(
                "ranks.gl306.summary",
                call=each.call,
                name=name,
                why=message(f"ranks.gl306.{why}", **words),
            ),
            iteration=failure.iteration if failure is not None else None,
            tensor=unversioned(trace, each.tensor),
            saved=Place(each.uses[0], message("ranks.gl306.first_use", name=name))
            if len(each.uses) > 1
            else None,
            cause=Place(each.uses[-1], message("ranks.gl306.use", name=name))
            if each.uses
            else None,
            failed=Place(each.at, each.call),
            help=(_repair(trace, each) or Help(message(f"ranks.gl306.{why}_help", **words)),),
        )


def _repair(trace: Trace, each: ReadyTwice) -> Help | None:
    if each.why not in ("hidden", "checkpoint"):
        return None
    found = [without_reentrance(trace, at) for at in each.uses]
    return next((help for help in found if help is not None), None)


RULE = Rule("GL306", "ready-twice", "error", check)
