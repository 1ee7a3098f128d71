"""A draw has no gradient for the distribution that the loss trains beside it."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.anew.drawn import drawn_with_graph
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.sightings import DrawnWithoutGraph


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        # Where nothing else trains it, GL110 tells.
        told = {one.cut for one in trace.optimizers}
        if isinstance(each, DrawnWithoutGraph) and each.at not in told:
            names = {"by": each.by, "loss": each.loss}
            edit = drawn_with_graph(trace, each)
            yield Finding(
                *RULE.label,
                summary=message("training.gl146.summary", **names),
                cause=Place(each.at, message("training.gl146.here")) if each.at else None,
                failed=Place(each.call_at, each.call) if each.call_at is not None else None,
                help=(edit or Help(message("training.gl146.help")),),
            )


RULE = Rule("GL146", "drawn-without-gradient", "warning", check)
