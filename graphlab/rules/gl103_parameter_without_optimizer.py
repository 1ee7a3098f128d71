"""A parameter got gradients, but no optimizer holds it."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace


def check(trace: Trace) -> Iterator[Finding]:
    if not trace.forgotten or any(each.strangers for each in trace.optimizers):
        return
    first = trace.forgotten[0]
    names = [trace.tensors[each.tensor].name or "a parameter" for each in trace.forgotten]
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    yield Finding(
        *RULE.label,
        summary=f"{names[0]}{more} get{'' if more else 's'} gradients, and no optimizer steps "
        f"{'them' if more else 'it'}",
        tensor=unversioned(trace, first.tensor),
        failed=Place(first.at, first.call),
        cause=Place(first.built, "optimizer built") if first.built is not None else None,
        help=(
            Help(
                "Build the optimizer after the whole model, from model.parameters(); hold "
                "submodules in ModuleList or ModuleDict, not in a plain list. What should stay "
                "frozen wants requires_grad_(False)."
            ),
        ),
        notes=(f"without an optimizer: {', '.join(names)}",) if more else (),
    )


RULE = Rule("GL103", "parameter-without-optimizer", "warning", check)
