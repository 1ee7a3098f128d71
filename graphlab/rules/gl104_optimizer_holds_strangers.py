"""An optimizer holds parameters that no live module uses any more."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.rule import Rule
from graphlab.rules.steps import last_step, unversioned
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Trace


def check(trace: Trace) -> Iterator[Finding]:
    for index, optimizer in enumerate(trace.optimizers):
        if not optimizer.strangers or optimizer.steps < 2:
            continue
        step = last_step(trace, index)
        count = len(optimizer.strangers)
        yield Finding(
            *RULE.label,
            summary=f"{optimizer.name} holds {count} parameter{'s' * (count > 1)} that no module "
            "in use has: the module was replaced after the optimizer was built",
            iteration=step.iteration if step is not None else None,
            tensor=unversioned(trace, optimizer.strangers[0]),
            failed=Place(step.at, f"{optimizer.name}.step()") if step is not None else None,
            cause=Place(optimizer.at, f"{optimizer.name} built") if optimizer.at else None,
            help=(
                Help(
                    "Build the optimizer after the last change of the model, or give it the new "
                    f"module's parameters with {optimizer.name}.add_param_group(...)."
                ),
            ),
            notes=tuple(_untrained(trace)),
        )


def _untrained(trace: Trace) -> Iterator[str]:
    """The parameters that replaced them and have no optimizer, which GL103 therefore leaves out."""
    names = [trace.tensors[each.tensor].name or "a parameter" for each in trace.forgotten]
    if names:
        more = len(names) - 1
        which = f"{names[0]} and {more} more get" if more else f"{names[0]} gets"
        yield f"{which} gradients now, and no optimizer steps {'them' if more else 'it'}"


RULE = Rule("GL104", "optimizer-holds-strangers", "warning", check)
