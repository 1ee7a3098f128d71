"""A result was used where torch needs a leaf."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.refusals import refused_operations
from graphlab.rules.repair.calls import flag_left_out
from graphlab.rules.repair.operations import leaf_last, update_under_no_grad
from graphlab.rules.rule import Rule
from graphlab.trace.finding import Finding, Help
from graphlab.trace.model import Refused, Trace


def check(trace: Trace) -> Iterator[Finding]:
    yield from refused_operations(RULE, trace, "non-leaf", _summary, _help, others=flag_left_out)


def _summary(event: Refused, name: str) -> str:
    made = f" of line {event.made.line}" if event.made is not None else ""
    if event.by.endswith(".grad"):
        return f"{event.by} is None: {name} is a result{made}, and backward fills leaves only"
    return f"{name} is a result{made} and no leaf; {event.by} takes leaves only"


def _help(trace: Trace, event: Refused, name: str) -> Iterator[Help]:
    made = event.made
    if event.by.endswith(".grad"):
        update = update_under_no_grad(trace, made) if made is not None else None
        first = update or (leaf_last(trace, made) if made is not None else None)
        if first is not None:
            yield first
        if update is None:
            yield Help(f"If {name} is to stay a result, {name}.retain_grad() keeps its gradient.")
    elif "deepcopy" in event.by:
        yield Help(
            f"Keep {name}.detach() where the copy is taken, or compute {name} anew after it."
        )
    elif "requires_grad" in event.by:
        yield Help(f"To stop gradients here, use {name}.detach(); the leaves behind it are frozen "
                   "by their own requires_grad_(False).")  # fmt: skip
    else:
        yield (leaf_last(trace, made) if made is not None else None) or Help(
            f"Compute the values first and make the leaf last: {name} = {name}.detach()"
            ".requires_grad_(), or an nn.Parameter of them."
        )


RULE = Rule("GL012", "not-a-leaf", "error", check)
