"""A module was in evaluation on some ranks and in training on others."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.rule import Rule
from graphlab.rules.words import in_line
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.ranks.inputs import ModesApart
from graphlab.trace.ranks.joint import ranks_in_words


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, ModesApart):
            continue
        what: str = f"{each.name}.{each.path}"
        if each.more:
            what = message("ranks.gl317.others", name=what, count=each.more)
        words = {
            "name": each.name,
            "what": what,
            "ranks": ranks_in_words(each.some),
            "number": each.number,
            "by": each.put_by,
            "line": in_line(each.put),
        }
        how = "summary_by" if each.put is not None else "summary"
        yield Finding(
            *RULE.label,
            summary=message(f"ranks.gl317.{how}", **words),
            cause=Place(each.put, each.put_by) if each.put is not None else None,
            failed=Place(each.at, message("ranks.gl312.forward", name=each.name)),
            help=(Help(message("ranks.gl317.help", **words)),),
            ranks=each.ranks,
        )


RULE = Rule("GL317", "modes-differ", "warning", check)
