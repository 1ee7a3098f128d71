"""A parameter of an optimizer never received a gradient."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import OptimizerInfo, Trace
from graphlab.trace.sightings import TermCut

# A parameter may belong to a branch that is rarely taken: it is reported after this many steps.
PATIENCE = 6


def _places(optimizer: OptimizerInfo) -> tuple[Place | None, Place | None]:
    """(what it began with, what holds the parameters for nothing)."""
    built = Place(optimizer.at, f"{optimizer.name} built") if optimizer.at else None
    if optimizer.cut is not None:
        return Place(optimizer.cut, optimizer.cut_by), None
    if optimizer.unused is not None:
        return Place(optimizer.unused, "built here, and not used in forward"), built
    return built, None


def check(trace: Trace) -> Iterator[Finding]:
    # GL118 tells of a summand of the loss that was cut off there.
    told = {each.at for each in trace.sightings if isinstance(each, TermCut)}
    for optimizer in trace.optimizers:
        never = optimizer.never_reached
        if not never or optimizer.steps < PATIENCE or optimizer.strangers:
            continue
        if optimizer.cut is not None and optimizer.cut in told:
            continue
        names = [trace.tensors[each].name or "a parameter" for each in never]
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        cause, failed = _places(optimizer)
        unused = optimizer.unused is not None and cause is not None and failed is not None
        yield Finding(
            *RULE.label,
            summary=f"{optimizer.name} holds {names[0]}{more}, which never received a gradient",
            tensor=unversioned(trace, never[0]),
            cause=cause,
            failed=failed,
            help=(
                Help(
                    "Use it in forward, or do not build it."
                    if unused
                    else "Use the module in forward, undo the detach() before it, or leave its "
                    "parameters out of the optimizer."
                ),
            ),
            notes=(f"never reached: {', '.join(names)}",) if more else (),
        )


RULE = Rule("GL110", "parameter-never-reached", "warning", check)
