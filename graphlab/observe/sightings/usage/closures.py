"""Notices closures that LBFGS calls again for a new loss and gradient, and that compute neither."""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch

from graphlab.observe.notes import RawBackward, Spot, located
from graphlab.observe.optimizers.registry import OptimizerState
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Ref, Unnoticed, grad_of, version_of
from graphlab.source.objects import attributes, is_a, item
from graphlab.trace.sightings import IdleClosure

# As many of a step's parameters are looked at.
SOME = 4


class Closures:
    def __init__(self, watched: Watched) -> None:
        # By an optimizer's place; None: one of its closures was seen to compute anew.
        self._found: dict[int, IdleClosure | None] = {}
        self._before: tuple[int, int, list[tuple[Any, Ref, int]]] | None = None
        watched.ledger.on_step.append(self._on_step)
        watched.ledger.on_stepped.append(self._on_stepped)

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing: the steps themselves are seen."""

    def _on_step(self, state: OptimizerState, parameters: list[Any], spot: Spot | None) -> bool:
        """The closure has returned for the first time."""
        self._before = None
        optimizer = state.ref()
        if self._found.get(state.at, self) is None or not is_a(optimizer, torch.optim.LBFGS):
            return True
        with Unnoticed():
            given = [(p, grad_of(p)) for p in parameters]
            some = [(p, Ref(g), version_of(g)) for p, g in given if g is not None][:SOME]
            if some:
                self._before = state.at, _calls(optimizer), some
        return False

    def _on_stepped(self, state: OptimizerState, parameters: list[Any], spot: Spot | None) -> None:
        before, self._before = self._before, None
        if before is None or before[0] != state.at:
            return
        with Unnoticed():
            calls = _calls(state.ref()) - before[1]
            if calls < 2:
                return
            same = all(
                ref() is not None and grad_of(p) is ref() and version_of(ref()) == version
                for p, ref, version in before[2]
            )
        known = self._found.get(state.at)
        self._found[state.at] = IdleClosure(located(spot), state.at) if same else None
        if same and known is not None:
            self._found[state.at] = known

    def found(self) -> Iterator[IdleClosure]:
        for each in self._found.values():
            if each is not None:
                yield each


def _calls(optimizer: Any) -> int:
    """How often LBFGS has called its closures by now; it notes that as it ends a step."""
    states: Any = attributes(optimizer).get("state")
    # By parameter; only the first one has a state.
    for values in list(dict.values(states)) if is_a(states, dict) else ():
        count = item(values, "func_evals")
        if type(count) is int:
            return count
    return 0
