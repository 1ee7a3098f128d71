"""A moving average is written into the network that is trained, and not into its follower."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.trained.averaged import the_other_way
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.module_sightings import AveragedInto


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if isinstance(each, AveragedInto):
            names = {"name": each.name, "trained": each.trained}
            edit = the_other_way(trace, each)
            yield Finding(
                *RULE.label,
                summary=message("training.gl137.summary", **names),
                cause=Place(each.at, message("training.gl137.mixed")) if each.at else None,
                help=(edit or Help(message("training.gl137.help", **names)),),
            )


RULE = Rule("GL137", "averaged-into-the-trained", "warning", check)
