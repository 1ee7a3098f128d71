"""What a collective brought went into a loss, and carries no gradient or a wrong one."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.ranks.collectives import in_the_graph, with_graph
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place, Versions
from graphlab.trace.model import TensorInfo, Trace
from graphlab.trace.ranks.sightings import WithoutGradient


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if not isinstance(each, WithoutGradient):
            continue
        name = each.tensor or message("words.a_tensor")
        mended = with_graph(trace, each.operation)
        repair = in_the_graph(trace, each.at, each.operation) if each.at is not None else None
        yield Finding(
            *RULE.label,
            summary=message(
                f"ranks.gl302.{'overwrites' if each.overwrote else 'without_graph'}",
                call=each.call,
                name=name,
                backward=each.backward,
            ),
            tensor=Versions(TensorInfo(name, "activation", (), ""), None, None),
            cause=Place(each.at, each.call),
            failed=Place(each.backward_at, each.backward),
            help=(repair or Help(message("ranks.gl302.help", function=mended)),),
        )


RULE = Rule("GL302", "collective-without-gradient", "warning", check)
