"""Every gradient of some parameters was exactly zero, step after step."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.repair.calls import straight_through
from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
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
    first = (trace.tensors[index].name if index is not None else None) or "a parameter"
    more = f" and {len(each.tensors) - 1} more" if len(each.tensors) > 1 else ""
    line = f" in line {each.at.line}" if each.at is not None else ""
    code, name, severity = RULE.label
    if operation in FLAT:
        why = f"{operation.lower()}(){line} has slope 0 everywhere"
        help = (
            f"Train through it with a straight-through estimator, `x + ({operation.lower()}(x) - x)"
            ".detach()`, or leave it out in training."
        )
    elif operation in _CHOICES:
        # Which branch is taken may change with the data, and with the training.
        severity = "info"
        why = f"{operation.lower()}(){line} has never chosen what depends on them"
        help = "See whether that choice can ever fall on them."
    elif each.by_weight:
        # A weight may be zero on purpose, for a part of the training.
        severity = "info"
        why = f"what{line} multiplies by is 0"
        help = "If that weight is not meant to be 0 all the time, see where it is set."
    else:
        # A part of the parameters may have nothing to learn for now, as where a margin is kept.
        severity = severity if each.whole else "info"
        why = f"{operation.lower()}(){line} gets a gradient and hands on zeros alone"
        help = "See what that line is given: nothing that it lets through depends on it."
    return Finding(
        code,
        name,
        severity,
        summary=f"the gradients of {first}{more} were exactly zero at each of {each.checks} steps: "
        f"{why}",
        tensor=unversioned(trace, index) if index is not None else None,
        failed=Place(each.call_at, each.call),
        cause=Place(each.at, operation.lower() + "()") if each.at is not None else None,
        help=(Help(help),),
        others=tuple(straight_through(trace, each.at, operation)) if operation in FLAT else (),
    )


RULE = Rule("GL120", "gradients-all-zero", "warning", check)
