"""What an optimizer step changed, by value: parameters are copied before it and compared after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphlab.observe.holders import OptimizerState, parameters_of

# Copying more elements than this before a step is not worth the proof.
LARGEST = 50_000_000

Copies = list[tuple[Any, Any]]


def copies_of(parameters: list[Any]) -> Copies | None:
    """Each parameter with a copy of its values; None where there are too many."""
    if sum(p.numel() for p in parameters) > LARGEST:
        return None
    return [(p, p.detach().clone()) for p in parameters]


def compare(
    state: OptimizerState, optimizer: Any, copies: Copies, place_of: Callable[[Any, None], int]
) -> None:
    """Take down which of the parameters a step of `optimizer` has changed, and why it left the
    others of its own as they were."""
    import torch

    mine = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    state.sampled.append(state.steps)
    for parameter, old in copies:
        index = place_of(parameter, None)
        changed = not torch.equal(parameter.detach(), old)
        if id(parameter) not in mine:
            if changed:
                state.others[index] = None
        elif changed:
            state.touched[index] = None
        elif index not in state.touched:
            state.untouched[index] = _why(parameter, mine[id(parameter)])


def ways(optimizer: Any, copies: Copies) -> Copies:
    """How far a step of `optimizer` has moved each of its own parameters."""
    mine = {id(p) for p in parameters_of(optimizer)}
    return [(p, p.detach() - old) for p, old in copies if id(p) in mine]


def _why(parameter: Any, group: Any) -> str:
    if not parameter.requires_grad:
        return "frozen: requires_grad is False"
    if parameter.grad is None:
        return "no gradient"
    if float(group.get("lr", 1.0)) == 0.0:
        return "its learning rate is 0"
    if not bool(parameter.grad.any()):
        return "its gradient is zero"
    return "the update is below the precision of its values"
