"""A parameter of an optimizer never received a gradient."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.repair.calls import not_reentrant_at_all
from graphlab.rules.repair.graph.cuts import graph_kept
from graphlab.rules.rule import Rule
from graphlab.rules.steps import unversioned
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import OptimizerInfo, Trace
from graphlab.trace.sightings import TermCut

# A parameter may belong to a branch that is rarely taken: it is reported after this many steps.
PATIENCE = 6


_HELP = (
    "Use the module in forward, undo the detach() before it, or leave its parameters out of the "
    "optimizer."
)
_LOSS = (
    "Compute the loss with torch from the model's output, with differentiable operations, and do "
    "not set its requires_grad: backward() then ends at the loss itself."
)


def _places(optimizer: OptimizerInfo) -> tuple[Place | None, Place | None]:
    """(what it began with, what holds the parameters for nothing)."""
    built = Place(optimizer.at, f"{optimizer.name} built") if optimizer.at else None
    leaf = (
        Place(optimizer.leaf_loss, f"{optimizer.leaf_name} is told to require grad")
        if optimizer.leaf_loss is not None
        else None
    )
    if optimizer.cut is not None:
        return Place(optimizer.cut, optimizer.cut_by), leaf
    if leaf is not None:
        return leaf, None
    if optimizer.unused is not None:
        return Place(optimizer.unused, "built here, and not used in forward"), built
    return built, None


def check(trace: Trace) -> Iterator[Finding]:
    # GL118 tells of a summand of the loss that was cut off there.
    told = {each.at for each in trace.sightings if isinstance(each, TermCut)}
    for optimizer in trace.optimizers:
        if optimizer.frozen_steps >= PATIENCE and optimizer.owns:
            yield _frozen(trace, optimizer)
        never = optimizer.never_reached
        if not never or optimizer.steps < PATIENCE or optimizer.strangers:
            continue
        if optimizer.cut is not None and optimizer.cut in told:
            continue
        names = [trace.tensors[each].name or "a parameter" for each in never]
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        cause, failed = _places(optimizer)
        loss = optimizer.leaf_name if optimizer.leaf_loss is not None else ""
        help = _HELP if not loss else _LOSS
        if cause is not None and cause.at == optimizer.unused:
            help = "Use it in forward, or do not build it."
        yield Finding(
            *RULE.label,
            summary=f"{optimizer.name} holds {names[0]}{more}, which never received a gradient"
            + (f": {loss} has no graph, and requires_grad gives it none" if loss else ""),
            tensor=unversioned(trace, never[0]),
            cause=cause,
            failed=failed,
            help=(Help(help),),
            others=(
                *graph_kept(trace, optimizer.cut, optimizer.cut_by),
                *not_reentrant_at_all(trace, optimizer.at),
            ),
            notes=(f"never reached: {', '.join(names)}",) if more else (),
        )


def _frozen(trace: Trace, optimizer: OptimizerInfo) -> Finding:
    """Not known to be wrong: a loop may step all optimizers, with some at rest."""
    code, name, _ = RULE.label
    first = trace.tensors[optimizer.owns[0]].name or "a parameter"
    return Finding(
        code,
        name,
        "info",
        summary=f"all parameters of {optimizer.name} are frozen: its last {optimizer.frozen_steps} "
        f"steps changed nothing",
        tensor=unversioned(trace, optimizer.owns[0]),
        cause=Place(optimizer.frozen, optimizer.frozen_by) if optimizer.frozen else None,
        help=(Help(f"Set requires_grad of {first} and the others back where they shall learn."),),
    )


RULE = Rule("GL110", "parameter-never-reached", "warning", check)
