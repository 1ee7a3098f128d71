"""Dropout goes on in an evaluation: it is not told of the mode, or nobody said eval()."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.trained.modes import evaluated_apart
from graphlab.rules.rule import Rule
from graphlab.rules.words import line_in_brackets
from graphlab.source.blocks import StatementInScope
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.module_sightings import DropsInEval, EvaluatedInTraining
from graphlab.trace.sightings import ResultDiscarded


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if isinstance(each, EvaluatedInTraining) and not _eval_named(trace):
            yield _in_training(trace, each)
        if not isinstance(each, DropsInEval):
            continue
        yield Finding(
            *RULE.label,
            summary=message("training.gl136.summary", call=each.call, name=each.name),
            cause=Place(each.at, each.call),
            failed=Place(each.mode_at, message("training.gl136.mode")),
            help=(_help(trace, each),),
        )


def _in_training(trace: Trace, each: EvaluatedInTraining) -> Finding:
    by = each.call.partition("(")[0]
    return Finding(
        *RULE.label,
        summary=message(
            "training.gl136.training",
            name=each.name,
            call=each.call,
            line=line_in_brackets(each.at),
            layers=list(each.layers),
            count=len(each.layers),
        ),
        cause=Place(each.at, each.call),
        help=(
            evaluated_apart(trace, each.at, by)
            or Help(message("training.gl136.help_training", name=by)),
        ),
    )


def _eval_named(trace: Trace) -> bool:
    """Whether some line says ``model.eval`` without a call, of which GL125 tells."""
    return any(
        isinstance(each, ResultDiscarded)
        and each.idle == "named"
        and each.written.endswith(".eval()")
        for each in trace.sightings
    )


def _help(trace: Trace, each: DropsInEval) -> Help:
    call = ast.parse(each.call, mode="eval").body
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Call):
        return Help(message("training.gl136.help_made", made=ast.unparse(call.func)))
    return _told(trace, each) or Help(message("training.gl136.help"))


def _told(trace: Trace, each: DropsInEval) -> Help | None:
    """The dropout at that place, told of the mode."""
    there = StatementInScope.of(trace, each.at) if each.at is not None else None
    if there is None:
        return None
    calls = [
        text
        for node in ast.walk(there.statement)
        if isinstance(node, ast.Call)
        and ast.unparse(node) == each.call
        and (text := there.text(node)).endswith(")")
        and "\n" not in text
    ]
    if len(calls) != 1:
        return None
    whole = there.text(there.statement)
    told = f"{calls[0][:-1].rstrip(', ')}, training=self.training)"
    if "\n" in whole or whole.count(calls[0]) != 1:
        return None
    return there.help(message("training.gl136.help"), whole.replace(calls[0], told))


RULE = Rule("GL136", "dropout-in-evaluation", "warning", check)
