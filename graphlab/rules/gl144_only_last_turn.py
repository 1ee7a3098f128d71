"""A backward stands behind the loop over the batches: the last batch alone is trained on."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.examples.each_turn import in_each_turn
from graphlab.rules.rule import Rule
from graphlab.trace.examples.sightings import LastOnly, NeverBack
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace


def check(trace: Trace) -> Iterator[Finding]:
    # GL112 tells of one whose steps have stayed in the loop.
    late = {each.after for each in trace.sightings if isinstance(each, NeverBack)}
    for each in trace.sightings:
        if isinstance(each, LastOnly) and each.at not in late:
            words = {"call": each.call, "loss": each.loss}
            words |= {"line": each.loop.line, "turns": each.turns}
            yield Finding(
                *RULE.label,
                summary=message("training.gl144.summary", **words),
                failed=Place(each.at, each.call),
                cause=Place(each.made, message("training.gl144.here", loss=each.loss)),
                help=(in_each_turn(trace, each) or Help(message("training.gl144.help", **words)),),
            )


RULE = Rule("GL144", "only-last-turn", "warning", check)
