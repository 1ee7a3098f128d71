"""What an optimizer step changed, by value: parameters are copied before it and compared after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from graphlab.observe.optimizers.registry import OptimizerState
from graphlab.observe.names import parameters_of
from graphlab.observe.tensors import grad_of, is_tensor, readable, requires_grad, version_of
from graphlab.observe.vectors import COPIES, Before, anything
from graphlab.source.objects import attributes, exactly, item, items

Copies = list[Before]


def copies_of(parameters: list[Any]) -> Copies:
    """The values of each parameter as they are now."""
    room, found = COPIES, []
    for parameter in parameters:
        before = Before(parameter, version_of(parameter), room)
        room -= before.size
        found.append(before)
    return found


def compare(
    state: OptimizerState, optimizer: Any, copies: Copies, place_of: Callable[[Any, None], int]
) -> None:
    """Take down which of the parameters a step of `optimizer` has changed, and why it left the
    others of its own as they were."""
    mine = {
        id(p): group
        for _, group in items(attributes(optimizer).get("param_groups"))
        for _, p in items(item(group, "params"))
    }
    state.sampled.append(state.steps)
    for before in copies:
        parameter = before.tensor
        index = place_of(parameter, None)
        changed = before.changed(version_of(parameter))
        if id(parameter) not in mine:
            if changed:
                state.others[index] = None
        elif changed:
            state.touched[index] = None
        elif index not in state.touched:
            state.untouched[index] = _why(parameter, mine[id(parameter)])


def ways(optimizer: Any, copies: Copies) -> Iterator[tuple[Any, Any]]:
    """How far a step of `optimizer` has moved each of its own parameters, one at a time."""
    mine = {id(p) for p in parameters_of(optimizer)}
    for before in copies:
        if id(before.tensor) in mine and before.values is not None:
            yield before.tensor, before.tensor.detach() - before.values


def _why(parameter: Any, group: Any) -> str:
    if not requires_grad(parameter):
        return "frozen: requires_grad is False"
    grad = grad_of(parameter)
    if grad is None:
        return "no gradient"
    if _rate(group) == 0.0:
        return "its learning rate is 0"
    if not readable(parameter):
        return "its values cannot be read"
    if not anything(grad):
        return "its gradient is zero"
    return "the update is below the precision of its values"


def _rate(group: Any) -> float:
    """The learning rate: a number, or a tensor of one."""
    rate = item(group, "lr")
    if exactly(rate, int, float) or (is_tensor(rate) and readable(rate)):
        return float(rate)
    return 1.0
