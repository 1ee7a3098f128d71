"""Finds an optimizer's parameters that no module in use has, those that no loss reaches, and those
that are frozen."""

from __future__ import annotations

from types import FrameType
from typing import Any

from torch import nn

from graphlab.observe.hooks.line_tracer import sequence_counter
from graphlab.observe.lineage.freezing.frozen import frozen_by
from graphlab.observe.names import Names, parameters_in, parameters_of
from graphlab.observe.notes import Log
from graphlab.observe.optimizers.registry import OptimizerRegistry, OptimizerState
from graphlab.observe.optimizers.vectors import Sample
from graphlab.observe.tensors import grad_of, is_parameter, requires_grad
from graphlab.source.files import UserFiles
from graphlab.source.objects import static

_CALL = static(nn.Module, "__call__")
# After which steps it is looked for as well as at those that are compared by value.
EARLY = (7, 15, 31)


def look_over(
    registry: OptimizerRegistry,
    state: OptimizerState,
    parameters: list[Any],
    log: Log,
    files: UserFiles,
    user: FrameType | None,
) -> None:
    """Note both in `state`, at a step that `user` takes, and when all of them are frozen."""
    if parameters and not any(requires_grad(p) for p in parameters):
        if state.frozen_since is None:
            state.frozen_since = (state.steps, state.fed)
            state.frozen = frozen_by(parameters[-1], user, files, log)
    else:
        state.frozen_since = None
    for each in registry.states:
        each.freed = each.freed or (each is not state and _free(each))
    modules = [module for ref in log.modules.values() if (module := ref()) is not None]
    alive = {id(p) for p in parameters_in(*modules)}
    bare = [
        p
        for p in parameters
        if not (gradient := registry.gradient(p)).sources and not gradient.by_hand
    ]
    called = bool(alive)
    if any(id(p) not in alive for p in bare):
        # A module that is never called may live all the same, and so may a lone parameter.
        names = Names(files).gather(user)
        held = names.held_modules()
        alive |= {id(p) for p in parameters_in(*held)}
        # Calls of those that have a __call__ of their own, as gpytorch's, are not seen.
        called = called or any(static(type(each), "__call__") is not _CALL for each in held)
        alive |= {id(p) for p in bare if _keeps_its_name(p, registry, names)}
    state.strangers = tuple(
        registry.place_of(p, None)
        for p in bare
        if called and is_parameter(p) and id(p) not in alive
    )
    # Steps that only move a schedule on, to draw it, come with nothing that gives gradients.
    now = log.now()
    computed = sequence_counter() is None or now != (state.looked_at or log.began)
    state.looked_at = now
    state.never_reached = tuple(
        registry.place_of(p, None)
        for p in bare
        if computed
        and id(p) in alive
        and requires_grad(p)
        and not registry.gradient(p).seen
        and grad_of(p) is None
        and not _written_by_hand(state, p)
    )


def _written_by_hand(state: OptimizerState, parameter: Any) -> bool:
    """Whether its values have changed since the last look, though no step of an optimizer moves
    what has no gradient: it is an average, or its program trains it in a way of its own."""
    known, now = state.bare.get(id(parameter)), Sample(parameter)
    state.bare[id(parameter)] = now
    return known is not None and now.values is not None and not known.same(parameter)


def _keeps_its_name(parameter: Any, registry: OptimizerRegistry, names: Names) -> bool:
    """Whether a parameter is still found under the name that it was first known by: not just in a
    list that was made for the optimizer."""
    named = names.tensors.get(id(parameter))
    place = registry.place_of(parameter, None)
    return named is not None and named.name == registry.info_of(place).name


def frozen_steps(state: OptimizerState) -> dict[str, Any]:
    """How many of the last steps found all of its parameters frozen, as they are to the end, and
    whether each step did, though they are free between them."""
    return {"frozen_steps": _frozen_to_the_end(state), "toggled": _toggled(state)}


def _frozen_to_the_end(state: OptimizerState) -> int:
    optimizer = state.ref()
    if state.frozen_since is None or state.elsewhere or _toggled(state):
        return 0
    steps, fed = state.frozen_since
    # Of one that has gone with the function that made it, no gradient tells of what was set back.
    own = parameters_of(optimizer) if optimizer is not None else []
    still = state.fed == fed and not any(map(requires_grad, own))
    return state.steps - steps if still else 0


def _toggled(state: OptimizerState) -> bool:
    if state.fed or state.elsewhere or state.frozen_since != (0, 0):
        return False
    return state.freed or _free(state)


def _free(state: OptimizerState) -> bool:
    """Whether all of its parameters require grad, which its first steps have found frozen."""
    optimizer = state.ref() if state.frozen_since is not None else None
    return optimizer is not None and all(map(requires_grad, parameters_of(optimizer)))


def kept_frozen(state: OptimizerState) -> bool:
    """Whether it steps, and from its first step to the last all of its parameters were frozen: it
    was built before the model became what is trained."""
    return not state.fed and 0 < state.steps == _frozen_to_the_end(state)
