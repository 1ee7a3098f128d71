"""A straight-through estimator without its detach(): the gradients of its input cancel."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.trained.as_number import difference_detached
from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.functions.sightings import CopyCancelled
from graphlab.trace.model import Trace
from graphlab.trace.sightings import StraightCancelled


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if isinstance(each, CopyCancelled):
            yield _copied(trace, each)
        elif isinstance(each, StraightCancelled):
            names = {"kept": each.kept, "given": each.given}
            edit = difference_detached(trace, each)
            yield Finding(
                *RULE.label,
                summary=message("training.gl147.summary", **names),
                cause=Place(each.at, message("training.gl147.here", **names)) if each.at else None,
                help=(edit or Help(message("training.gl147.help", **names)),),
            )


def _copied(trace: Trace, each: CopyCancelled) -> Finding:
    words = {"name": trace.tensors[each.tensor].name, "line": each.at.line}
    return Finding(
        *RULE.label,
        summary=message("training.gl147.copied", **words),
        tensor=unversioned(trace, each.tensor),
        failed=Place(each.used, message("training.gl147.here_taken")),
        cause=Place(each.at, message("training.gl147.here_copied")),
        help=(Help(message("training.gl147.help_copied")),),
    )


RULE = Rule("GL147", "straight-through-cancelled", "warning", check)
