"""A step applied gradients again that an earlier step had already applied."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.rules.repair.held.clearing import cleared_before
from graphlab.rules.repair.held.stepping import cleared_by_hand
from graphlab.rules.repair.left_over import clear_gradients
from graphlab.rules.rule import Rule
from graphlab.rules.steps import first_per_optimizer, unversioned
from graphlab.text import listing
from graphlab.trace.finding import Finding, Help, Place
from graphlab.trace.model import Backward, Location, Step, Trace, ZeroGrad
from graphlab.trace.sightings import GradientKept


def check(trace: Trace) -> Iterator[Finding]:
    for step in first_per_optimizer(trace, lambda step: bool(step.leftover)):
        optimizer = trace.optimizers[step.optimizer]
        late = _late_zero(trace, step)
        yield Finding(
            *RULE.label,
            summary=f"{optimizer.name}.step() applied gradients that its earlier step had applied "
            f"already, on {_several(trace, step.leftover)}",
            iteration=step.iteration,
            tensor=unversioned(trace, step.leftover[0]),
            failed=Place(step.at, f"{optimizer.name}.step()"),
            cause=Place(late.at, late.target) if late is not None else None,
            help=(
                clear_gradients(trace, step)
                or Help(
                    f"Call {optimizer.name}.zero_grad() once per step: after the step, or before "
                    "the first backward of the next one."
                ),
            ),
            others=tuple(cleared_before(trace, _first(trace, step), optimizer.name)),
        )

    by_line: dict[Location | None, list[GradientKept]] = {}
    for each in trace.sightings:
        if isinstance(each, GradientKept):
            by_line.setdefault(each.at, []).append(each)
    for several in by_line.values():
        yield _by_hand(trace, several)


def _by_hand(trace: Trace, several: list[GradientKept]) -> Finding:
    """The program steps a tensor itself, as an attack does, and never clears its gradient."""
    kept = several[0]
    name, verb = kept.name, "are" if len(several) > 1 else "is"
    return Finding(
        *RULE.label,
        summary=f"{listing([each.name for each in several])} {verb} changed with "
        f"a gradient that still holds the earlier ones: {kept.call} adds to {name}.grad, and "
        "nothing clears it",
        tensor=unversioned(trace, kept.tensor),
        failed=Place(kept.call_at, kept.call),
        cause=Place(kept.at, "its gradient is used, and stays") if kept.at is not None else None,
        help=(
            Help(
                f"Clear it once it is used: {name}.grad = None, or take the gradient with "
                f"torch.autograd.grad(…, {name}) instead."
            ),
        ),
        others=tuple(cleared_by_hand(trace, kept.at, name)),
    )


def _first(trace: Trace, step: Step) -> Location | None:
    """Where the first backward was called whose gradients a step applied."""
    found = (
        each.at
        for each in trace.events
        if isinstance(each, Backward) and each.loss in step.sources and not each.handed_over
    )
    return next(found, None)


def _late_zero(trace: Trace, step: Step) -> ZeroGrad | None:
    """The zero_grad() nearest to this step, which cleared too few parameters or ran too late."""
    found = None
    for event in trace.events:
        if isinstance(event, ZeroGrad):
            found = event
        if event is step and found is not None:
            return found
    return found


def _several(trace: Trace, indices: tuple[int, ...]) -> str:
    first = trace.tensors[indices[0]].name or "a parameter"
    return first if len(indices) == 1 else f"{first} and {len(indices) - 1} more"


RULE = Rule("GL102", "leftover-gradients", "warning", check)
