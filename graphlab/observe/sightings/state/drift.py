"""Notices frozen parameters that an optimizer goes on moving, as they still have a gradient."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any, NamedTuple

from graphlab.observe.lineage.freezing.frozen import frozen_by
from graphlab.observe.notes import RawBackward, Spot, located
from graphlab.observe.optimizers.registry import OptimizerState
from graphlab.observe.optimizers.vectors import Copies, any_nonzero, copies_of
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Ref, Unnoticed, grad_of, requires_grad, version_of
from graphlab.source.files import user_frame
from graphlab.trace.module_sightings import FrozenMoved

# Steps with a frozen parameter that are looked at before an optimizer is left alone.
LOOKS = 6


class Mark(NamedTuple):
    """A gradient as it was."""

    grad: Ref
    version: int
    zero: bool


class Drift:
    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._found: dict[int, FrozenMoved] = {}
        self._looks: dict[int, int] = {}
        # By an optimizer's place: each parameter's gradient when it was last seen frozen.
        self._last: dict[int, dict[int, Mark]] = {}
        self._before: tuple[int, Copies, bool] | None = None
        watched.ledger.on_step.append(self._on_step)
        watched.ledger.on_stepped.append(self._on_stepped)

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing: the steps themselves are seen."""

    def _on_step(self, state: OptimizerState, parameters: list[Any], spot: Spot | None) -> None:
        # All parameters only where something says that there may be frozen ones: this runs at
        # every step.
        self._before = None
        if not parameters or state.at in self._found:
            return
        one, turn = parameters[0], parameters[state.steps % len(parameters)]
        # Without a call where neither is frozen.
        if not state.due and requires_grad(one) and requires_grad(turn):
            return
        if not (state.due or _frozen(one) or _frozen(turn)):
            return
        if self._looks.get(state.at, 0) >= LOOKS:
            return
        frozen = [each for each in parameters if _frozen(each)]
        if not frozen:
            return
        self._looks[state.at] = self._looks.get(state.at, 0) + 1
        with Unnoticed():
            last, marks = self._last.get(state.at, {}), {}
            zero, stale = [], []
            for each in frozen:
                marks[id(each)] = mark = _mark(each)
                before = last.get(id(each))
                # A gradient that is new may have been put there by hand, as estimated ones are; and
                # one backward may run before what it reached is frozen and stepped.
                if before is None:
                    continue
                if mark.zero and before.zero:
                    zero.append(each)
                elif mark.version == before.version and before.grad() is grad_of(each):
                    stale.append(each)
            self._last[state.at] = marks
            moved = zero or stale
            if moved:
                self._before = state.at, copies_of(moved), bool(zero)

    def _on_stepped(self, state: OptimizerState, parameters: list[Any], spot: Spot | None) -> None:
        before, self._before = self._before, None
        if before is None or before[0] != state.at:
            return
        watched = self._watched
        with Unnoticed():
            moved = [
                each.tensor
                for each in before[1]
                if not requires_grad(each.tensor) and each.changed(version_of(each.tensor))
            ]
            if not moved:
                return
            frame = user_frame(sys._getframe(1), watched.files)
            froze = frozen_by(moved[0], frame, watched.files, watched.log)
            places = tuple(watched.ledger.registry.place_of(each, None) for each in moved)
        self._found[state.at] = FrozenMoved(
            froze.location() if froze is not None else None,
            froze.by if froze is not None else "",
            located(spot),
            places,
            state.at,
            before[2],
        )

    def found(self) -> Iterator[FrozenMoved]:
        yield from self._found.values()


def _frozen(parameter: Any) -> bool:
    return not requires_grad(parameter) and grad_of(parameter) is not None


def _mark(parameter: Any) -> Mark:
    grad = grad_of(parameter)
    return Mark(Ref(grad), version_of(grad), not any_nonzero(grad))
