"""Backwards reach an optimizer's parameters, and its step() is never called."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.repair.left_over import add_step, step_of
from graphlab.rules.rule import Rule
from graphlab.rules.steps import never_stepped
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace


def check(trace: Trace) -> Iterator[Finding]:
    for each in never_stepped(trace):
        name = trace.optimizers[each.optimizer].name
        wrong = each.instead
        if wrong is not None:
            other = trace.optimizers[wrong.optimizer].name
            summary = (
                f"{name}.step() is never called: after {each.fate.call}, whose gradients are for "
                f"{name}, {other} steps again"
            )
            edit = step_of(trace, wrong.at, other, name)
            place = Place(wrong.at, f"{other}.step()")
        else:
            summary = (
                f"{name}.step() is never called: the gradients that {each.fate.call} computes for "
                "its parameters are applied by nobody"
            )
            edit = add_step(trace, each.fate.at, name)
            place = Place(each.fate.at, each.fate.call)
        yield Finding(
            *RULE.label,
            summary=summary,
            failed=Place(each.fate.at, each.fate.call),
            cause=place,
            help=(edit or Help(f"Call {name}.step() after {each.fate.call}."),),
        )


RULE = Rule("GL111", "optimizer-never-steps", "warning", check)
