"""A softmax or sigmoid came before a loss that computes one of its own."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.repair.calls import identity_instead
from graphlab.rules.repair.double_softmax import without_softmax
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace
from graphlab.trace.sightings import SoftmaxTwice

_LOSSES = {
    "softmax": "softmax of its own",
    "log_softmax": "log_softmax of its own",
    "sigmoid": "sigmoid of its own",
}


def check(trace: Trace) -> Iterator[Finding]:
    told = set()
    for each in trace.sightings:
        if not isinstance(each, SoftmaxTwice):
            continue
        cause = each.built or each.at
        if cause in told:
            continue
        told.add(cause)
        code, name, severity = RULE.label
        what = f"nn.{each.module}" if each.module else f"{each.first}()"
        line = f" (line {each.loss_at.line})" if each.loss_at is not None else ""
        if each.first == "log_softmax":
            # The second one changes nothing but rounding.
            severity, harm = "info", "the second changes nothing"
        else:
            harm = "squashed twice, its gradients are small and no class can come near certainty"
        yield Finding(
            code,
            name,
            severity,
            summary=f"the result of {what} goes into a loss{line} with a {_LOSSES[each.first]}: "
            f"{harm}",
            failed=Place(each.loss_at, "the loss"),
            cause=Place(cause, what),
            help=(
                (without_softmax(trace, each.at) if each.built is None else None)
                or Help(
                    f"Give the loss what goes into {what}, and use {what} only where probabilities "
                    "are read."
                ),
            ),
            others=(
                *([found] if (found := without_softmax(trace, each.at)) and each.built else []),
                *identity_instead(trace, each.built, each.module),
            ),
        )


RULE = Rule("GL115", "softmax-twice", "warning", check)
