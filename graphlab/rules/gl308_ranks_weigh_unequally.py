"""Each rank's loss is a mean over a number of elements of its own."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.ranks.weighed import by_all_ranks
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place, Versions
from graphlab.trace.model import TensorInfo, Trace
from graphlab.trace.ranks.sightings import Unequal


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, Unequal):
            continue
        yield Finding(
            *RULE.label,
            summary=message(
                "ranks.gl308.summary",
                loss=each.loss,
                counts=list(each.counts),
                ratio=f"{each.ratio:.2g}",
            ),
            iteration=each.iteration,
            tensor=Versions(TensorInfo(each.loss, "activation", (), ""), None, None),
            cause=Place(each.cause, message("ranks.gl308.mean")),
            failed=Place(each.at, each.call),
            help=(by_all_ranks(trace, each.cause) or Help(message("ranks.gl308.help")),),
        )


RULE = Rule("GL308", "ranks-weigh-unequally", "warning", check)
