"""An optimizer stepped on gradients that were not averaged over the ranks."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.rules.words import in_line, parameter_word
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.ranks.sightings import NotAveraged

# Why the gradients were not averaged, where that is known.
_KNOWN = {"around", "used-up", "no-sync", "unknown", "grad"}


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, NotAveraged):
            continue
        name = trace.optimizers[each.optimizer].name
        source = each.source
        why = source.why if source.why in _KNOWN else "differ"
        words = {"by": source.cause_by, "call": source.call, "name": name}
        others = len(each.tensors) - 1
        yield Finding(
            *RULE.label,
            summary=message(
                "ranks.gl301.summary",
                tensor=parameter_word(trace, each.tensors[0]),
                more=message("ranks.gl301.more", count=others) if others else "",
                call=source.call or message("ranks.gl301.the_backward"),
                line=in_line(source.at),
                why=message(f"ranks.gl301.why.{why}", **words),
                name=name,
            ),
            iteration=each.iteration,
            tensor=unversioned(trace, each.tensors[0]),
            cause=Place(source.cause or source.at, source.cause_by or source.call),
            failed=Place(each.at, f"{name}.step()"),
            help=(Help(message(f"ranks.gl301.help.{why}", **words)),),
            ranks=each.ranks,
        )


RULE = Rule("GL301", "gradients-not-averaged", "warning", check)
