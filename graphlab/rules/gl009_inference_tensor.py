"""A tensor that was made under inference_mode met autograd."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.refusals import refused_operations
from graphlab.rules.repair.operations import guard_with_no_grad
from graphlab.rules.rule import Rule
from graphlab.rules.words import line_in_brackets
from graphlab.trace.finding import Finding, Help
from graphlab.trace.model import Refused, Trace


def check(trace: Trace) -> Iterator[Finding]:
    yield from refused_operations(RULE, trace, "inference", _summary, _help)


def _summary(event: Refused, name: str) -> str:
    line = line_in_brackets(event.made)
    return message("errors.gl009.summary", name=name, line=line, by=event.by)


def _help(trace: Trace, event: Refused, name: str) -> Iterator[Help]:
    if event.made is not None:
        edit = guard_with_no_grad(trace, event.made)
        mine = "inference_mode" in event.made_by
        yield edit or Help(message(f"errors.gl009.{'ordinary' if mine else 'of_library'}"))
    yield Help(message("errors.gl009.copy", name=name))


RULE = Rule("GL009", "inference-tensor", "error", check)
