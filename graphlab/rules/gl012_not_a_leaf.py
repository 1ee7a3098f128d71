"""A result was used where torch needs a leaf."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.refusals import refused_operations
from graphlab.rules.repair.asked.leaves import (
    forgotten_before_copy,
    gradient_kept,
    kept_detached,
    leaf_each_turn,
    leaf_of_result,
)
from graphlab.rules.repair.calls import flag_left_out
from graphlab.rules.repair.operations import leaf_last, update_under_no_grad
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help
from graphlab.trace.model import Refused, Trace


def check(trace: Trace) -> Iterator[Finding]:
    yield from refused_operations(RULE, trace, "non-leaf", _summary, _help, others=_others)


def _summary(event: Refused, name: str) -> str:
    line = message("words.of_line", line=event.made.line) if event.made is not None else ""
    key = "no_grad_here" if event.by.endswith(".grad") else "summary"
    if event.made is None and event.made_by:
        key = "property"
    return message(f"errors.gl012.{key}", name=name, line=line, by=event.by, of=event.made_by)


def _help(trace: Trace, event: Refused, name: str) -> Iterator[Help]:
    made = event.made
    if event.by.endswith(".grad"):
        update = update_under_no_grad(trace, made) if made is not None else None
        first = update or (leaf_last(trace, made) if made is not None else None)
        first = first or next(leaf_each_turn(trace, made), None)
        if first is not None:
            yield first
        if update is None:
            text = message("errors.gl012.retain_grad", name=name)
            kept = gradient_kept(trace, event, text) if first is None else None
            yield kept or Help(text)
    elif "deepcopy" in event.by:
        direct = event.at is None or name in event.at.code
        key = "before_a_copy" if direct else "inside_a_copy"
        yield Help(message(f"errors.gl012.{key}", name=name))
    elif made is None and event.made_by:
        yield Help(message("errors.gl012.flag_of", of=event.made_by))
    elif "requires_grad" in event.by:
        yield Help(message("errors.gl012.stop_here", name=name))
    else:
        edit = leaf_last(trace, made) if made is not None else None
        yield edit or Help(message("errors.gl012.leaf_last", name=name))


def _others(trace: Trace, event: Refused) -> Iterator[Help]:
    if "deepcopy" in event.by:
        yield from kept_detached(trace, event.made)
        yield from forgotten_before_copy(trace, event)
    elif not event.by.endswith(".grad"):
        yield from flag_left_out(trace, event)
        yield from leaf_of_result(trace, event.made)


RULE = Rule("GL012", "not-a-leaf", "error", check)
