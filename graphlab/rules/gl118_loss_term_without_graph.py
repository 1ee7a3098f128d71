"""A summand of a loss lost its graph, so that it trains nothing."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.graph.cuts import graph_kept, which_is_meant
from graphlab.rules.repair.refused_call import keep_graph
from graphlab.rules.rule import Rule
from graphlab.rules.words import in_line, loss_word
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.sightings import TermCut


def check(trace: Trace) -> Iterator[Finding]:
    told = set()
    for each in trace.sightings:
        if not isinstance(each, TermCut) or each.at in told:
            continue
        told.add(each.at)
        first = keep_graph(trace, each.at, each.by, each.term)
        yield Finding(
            *RULE.label,
            summary=message(
                f"training.gl118.{'constant' if each.constant else 'summary'}",
                term=each.term,
                loss=loss_word(each.loss),
                by=each.by,
                line=in_line(each.at),
            ),
            failed=Place(each.call_at, each.call),
            cause=Place(each.at, each.by),
            help=(Help(message("training.gl118.compare")),)
            if each.constant
            else tuple(which_is_meant(trace, each.at, [first])),
            others=()
            if each.constant
            else tuple(
                which_is_meant(trace, each.at, graph_kept(trace, each.at, each.by, each.call_at))
            ),
        )


RULE = Rule("GL118", "loss-term-without-graph", "warning", check)
