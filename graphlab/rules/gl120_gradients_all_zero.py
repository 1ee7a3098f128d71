"""Every gradient of some parameters was exactly zero, step after step."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.numbers import spelt
from graphlab.rules.repair.calls import straight_through
from graphlab.rules.repair.trained.as_number import old_side_detached
from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.rules.words import in_line, several_parameters
from graphlab.source.vocabulary import FLAT
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.sightings import ZeroGradients

# Operations that choose among what they are given.
_CHOICES = {
    "Where", "MaskedFill", "Index", "IndexSelect", "Gather", "Max", "Min", "Maximum", "Minimum",
    "Topk", "Stack", "Cat", "Select", "Slice",
}  # fmt: skip


def check(trace: Trace) -> Iterator[Finding]:
    for each in trace.sightings:
        if isinstance(each, ZeroGradients):
            yield _finding(trace, each)


def _finding(trace: Trace, each: ZeroGradients) -> Finding:
    operation = each.operation.split("Backward")[0]
    index = next(iter(each.tensors), None)
    function, line = operation.lower(), in_line(each.at)
    names = message("words.a_parameter")
    if each.tensors:
        names = several_parameters(trace, each.tensors)
    called = f"{function}()" if operation else each.call
    code, name, severity = RULE.label
    if not operation:
        why, help = "given", "given_help"
    elif each.itself:
        why, help, called = "itself", "itself_help", f"{spelt(operation)}()"
    elif each.cancelled:
        why, help = "cancelled", "cancelled_help"
    elif operation in FLAT:
        why, help = "flat", "flat_help"
    elif operation in _CHOICES:
        # Which branch is taken may change with the data, and with the training.
        severity = "info"
        why, help = "never_chosen", "choice_help"
    elif each.by_weight:
        # A weight may be zero on purpose, for a part of the training.
        severity = "info"
        why, help = "zero_weight", "weight_help"
    else:
        # A part of the parameters may have nothing to learn for now, as where a margin is kept.
        severity = severity if each.whole else "info"
        why, help = "only_zeros", "zeros_help"
    return Finding(
        code,
        name,
        severity,
        summary=message(
            "training.gl120.summary",
            names=names,
            checks=each.checks,
            why=message(f"training.gl120.{why}", call=called, line=line),
        ),
        tensor=unversioned(trace, index) if index is not None else None,
        failed=Place(each.call_at, each.call),
        cause=Place(each.at, called) if each.at is not None else None,
        help=(Help(message(f"training.gl120.{help}", function=function)),),
        others=tuple(_others(trace, each, operation)),
    )


def _others(trace: Trace, each: ZeroGradients, operation: str) -> Iterator[Help]:
    if each.cancelled:
        yield from old_side_detached(trace, each.at)
    elif operation in FLAT:
        yield from straight_through(trace, each.at, operation)


RULE = Rule("GL120", "gradients-all-zero", "warning", check)
