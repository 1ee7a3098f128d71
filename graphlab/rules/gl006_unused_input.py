"""A gradient was asked for an input that is frozen or not in the graph."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.refusals import refused_backwards
from graphlab.rules.repair.asked.columns import column_of_gradient
from graphlab.rules.repair.asked.requiring import (
    required_before_use,
    required_where_made,
    trained_alone,
)
from graphlab.rules.repair.asked.trained import trained_where_listed
from graphlab.rules.repair.calls import asked_in_time, zeros_for_unused
from graphlab.rules.repair.refused_call import leave_out_frozen
from graphlab.rules.rule import Rule
from graphlab.rules.words import loss_word
from graphlab.trace.finding import Finding, Help
from graphlab.trace.model import Backward, Trace


def check(trace: Trace) -> Iterator[Finding]:
    yield from refused_backwards(
        RULE,
        trace,
        "unused-input",
        "errors.gl006.summary",
        "errors.gl006.help",
        _asked_for_another,
        others=lambda trace, event: (
            *asked_in_time(trace, event),
            *column_of_gradient(trace, event),
            *zeros_for_unused(trace, event),
        ),
    )
    yield from refused_backwards(
        RULE,
        trace,
        "frozen-input",
        "errors.gl006.frozen",
        "errors.gl006.frozen_help",
        leave_out_frozen,
        cut=lambda event: "errors.gl006.frozen_since",
        others=_required,
    )


def _required(trace: Trace, event: Backward) -> Iterator[Help]:
    yield from asked_in_time(trace, event)
    yield from required_before_use(trace, event)
    yield from required_where_made(trace, event)
    yield from trained_alone(trace, event.at)
    yield from trained_where_listed(trace, event)


def _asked_for_another(trace: Trace, event: Backward) -> Help | None:
    if event.cut is None:
        return None
    if "requires_grad" in event.cut_by and event.cut_by.split(".requires_grad")[0].isidentifier():
        name = event.cut_by.split(".requires_grad")[0]
        words = {"line": event.cut.line, "loss": loss_word(event.loss), "name": name}
        return Help(message("errors.gl006.require_earlier", **words))
    words = {"line": event.cut.line, "loss": loss_word(event.loss)}
    return Help(message("errors.gl006.made_later", **words))


RULE = Rule("GL006", "unused-input", "error", check)
