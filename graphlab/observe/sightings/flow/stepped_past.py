"""Finds an optimizer that wraps another one, as those of libraries do, and that the program never
steps, while it steps the one inside: what the wrapper adds to a step is never done."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch

from graphlab.observe.names import wrapped
from graphlab.observe.notes import RawBackward, Spot, located
from graphlab.observe.optimizers.registry import OptimizerState
from graphlab.observe.sightings.watched import Looks, Watched
from graphlab.observe.tensors import Ref
from graphlab.source.files import user_frame
from graphlab.source.objects import is_a, variables
from graphlab.trace.steps.sightings import SteppedPast

# How many steps without one of the wrapper's are no warm-up any more.
ENOUGH = 12
# How many calls may lie between a wrapper's step and the one inside.
DEEP = 24


@dataclass(slots=True)
class Wrapper:
    """A wrapper, the variable that holds it, and the optimizer that it hands on to. used: whether
    its step was seen."""

    ref: Ref
    name: str
    inner: Any
    used: bool = False


class SteppedPasts:
    """Looks for wrappers in the variables around a backward, and who calls the step inside."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._looks = Looks()
        self._known: dict[int, Wrapper] = {}
        watched.ledger.registry.on_step.append(self._steps)

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        if record.is_grad or not self._looks.due(record, nodes):
            return
        user = user_frame(frame.f_back, self._watched.files)
        spaces = (user.f_locals, user.f_globals) if user is not None else ()
        for name, value in (pair for each in spaces for pair in variables(each).items()):
            if is_a(value, torch.optim.Optimizer) and id(value) not in self._known:
                inner = wrapped(value)
                if inner is not value and _step_of(value) is not _step_of(inner):
                    self._known[id(value)] = Wrapper(Ref(value), name, Ref(inner))

    def _steps(self, state: OptimizerState, parameters: list[Any], spot: Spot | None) -> bool:
        """The step of an optimizer begins: the wrappers among those that call it are used."""
        mine = [each for each in self._known.values() if each.inner() is state.ref()]
        frame = sys._getframe() if any(not each.used for each in mine) else None
        for _ in range(DEEP):
            if frame is None:
                break
            this = frame.f_locals.get("self")
            for each in mine:
                each.used = each.used or this is each.ref()
            frame = frame.f_back
        return False

    def found(self) -> Iterator[SteppedPast]:
        for each in self._known.values():
            wrapper, inner = each.ref(), each.inner()
            if each.used or wrapper is None or inner is None:
                continue
            state = self._watched.ledger.registry.state(inner)
            if state.steps >= ENOUGH:
                yield SteppedPast(located(state.last_spot), state.at, each.name)


def _step_of(optimizer: Any) -> Any:
    return next(
        (kind.__dict__["step"] for kind in type(optimizer).__mro__ if "step" in kind.__dict__), None
    )
