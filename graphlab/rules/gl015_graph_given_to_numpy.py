"""A tensor that requires grad was handed to NumPy."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.refusals import refused_operations
from graphlab.rules.repair.asked.numbers import detached_for_numpy
from graphlab.rules.repair.graph.in_torch import in_torch
from graphlab.rules.rule import Rule
from graphlab.rules.words import line_in_brackets
from graphlab.trace.finding import Finding, Help
from graphlab.trace.model import Refused, Trace


def check(trace: Trace) -> Iterator[Finding]:
    yield from refused_operations(RULE, trace, "numpy", _summary, _help, others=_others)


def _others(trace: Trace, event: Refused) -> Iterator[Help]:
    yield from detached_for_numpy(trace, event)
    yield from in_torch(trace, event.at)


def _summary(event: Refused, name: str) -> str:
    line = line_in_brackets(event.made)
    return message("errors.gl015.summary", name=name, line=line, by=event.by)


def _help(trace: Trace, event: Refused, name: str) -> Iterator[Help]:
    kept = "[" in name
    yield Help(message(f"errors.gl015.{'kept' if kept else 'help'}", name=name))


RULE = Rule("GL015", "graph-given-to-numpy", "error", check)
