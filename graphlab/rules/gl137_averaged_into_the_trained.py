"""A moving average is written into the network that is trained, or stays there by mistake."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.trained.averaged import the_other_way
from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.rules.words import parameter_word
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.module_sightings import AveragedInto, LeftSwappedIn


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if isinstance(each, LeftSwappedIn):
            name = parameter_word(trace, each.tensor)
            back = "restore" if each.kept == each.average else "put_back"
            yield Finding(
                *RULE.label,
                summary=message(
                    "training.gl137.left_in",
                    name=name,
                    average=each.average,
                    kept=each.kept,
                    count=each.count,
                ),
                tensor=unversioned(trace, each.tensor),
                cause=Place(each.at, message("training.gl137.swapped")) if each.at else None,
                help=(Help(message(f"training.gl137.{back}", kept=each.kept)),),
            )
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
