"""Finds an optimizer's parameters that no module in use has, and those that no loss reaches."""

from __future__ import annotations

from types import FrameType
from typing import Any

from graphlab.observe.names import Names, parameters_in
from graphlab.observe.notes import Log
from graphlab.observe.optimizers.registry import OptimizerRegistry, OptimizerState
from graphlab.observe.tensors import grad_of, is_parameter, requires_grad
from graphlab.source.files import UserFiles


def look_over(
    registry: OptimizerRegistry,
    state: OptimizerState,
    parameters: list[Any],
    log: Log,
    files: UserFiles,
    user: FrameType | None,
) -> None:
    """Note both in `state`, at a step that `user` takes."""
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
        alive |= {id(p) for p in parameters_in(*names.held_modules())}
        alive |= {id(p) for p in bare if _keeps_its_name(p, registry, names)}
    state.strangers = tuple(
        registry.place_of(p, None)
        for p in bare
        if called and is_parameter(p) and id(p) not in alive
    )
    state.never_reached = tuple(
        registry.place_of(p, None)
        for p in bare
        if id(p) in alive
        and requires_grad(p)
        and not registry.gradient(p).seen
        and grad_of(p) is None
    )


def _keeps_its_name(parameter: Any, registry: OptimizerRegistry, names: Names) -> bool:
    """Whether a parameter is still found under the name that it was first known by: not just in a
    list that was made for the optimizer."""
    named = names.tensors.get(id(parameter))
    place = registry.place_of(parameter, None)
    return named is not None and named.name == registry.name_of_tensor(place)
