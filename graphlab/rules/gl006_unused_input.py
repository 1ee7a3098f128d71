"""A gradient was asked for an input that is frozen or not in the graph."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.refusals import refused_backwards
from graphlab.rules.repair.calls import asked_in_time, zeros_for_unused
from graphlab.rules.repair.refused_call import leave_out_frozen
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help
from graphlab.trace.model import Backward, Trace


def check(trace: Trace) -> Iterator[Finding]:
    yield from refused_backwards(
        RULE,
        trace,
        "unused-input",
        "{call} asks for the gradient of {name}, which {loss} does not depend on",
        "Ask for a tensor that the output was really computed from (a copy, view or "
        ".to() made later is another tensor), or pass allow_unused=True where None is a"
        " fine answer.",
        _asked_for_another,
        others=lambda trace, event: (
            *asked_in_time(trace, event),
            *zeros_for_unused(trace, event),
        ),
    )
    yield from refused_backwards(
        RULE,
        trace,
        "frozen-input",
        "{call} asks for the gradient of {name}, which does not require grad",
        "Let {name} require grad before {loss} is computed, or leave it out of the inputs.",
        leave_out_frozen,
        cut=" since {cut}",
        others=asked_in_time,
    )


def _asked_for_another(trace: Trace, event: Backward) -> Help | None:
    if event.cut is None:
        return None
    if "requires_grad" in event.cut_by and event.cut_by.split(".requires_grad")[0].isidentifier():
        name = event.cut_by.split(".requires_grad")[0]
        return Help(
            f"Run line {event.cut.line} before the forward: {event.loss} was computed from {name} "
            "when it did not require grad yet."
        )
    return Help(
        f"Run line {event.cut.line} before the forward, and compute {event.loss} from what it "
        "makes: made afterwards, it is another tensor than the one that went in."
    )


RULE = Rule("GL006", "unused-input", "error", check)
