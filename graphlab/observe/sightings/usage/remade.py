"""Notices an optimizer that is made anew in every epoch, and so forgets what it has gathered."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch

from graphlab.observe.names import parameters_of
from graphlab.observe.notes import RawBackward, Spot, located
from graphlab.observe.optimizers.registry import OptimizerState
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Ref, Unnoticed, is_tensor, version_of
from graphlab.source.files import user_frames
from graphlab.source.loops import loop_around
from graphlab.source.objects import attributes, exactly, is_a, items
from graphlab.trace.sightings import OptimizerRemade

# How many in a row say that it is so, and how many of one line are compared.
ENOUGH, MOST = 3, 32
# What a loop is called whose turns are passes over the same data, or single steps. Those over
# tasks, folds, clients and the like mean to begin again.
_EPOCHS = ("epoch", "ep", "e")
_STEPS = (*_EPOCHS, "i", "it", "iter", "iteration", "step", "t", "batch", "idx", "batch_idx")


@dataclass(slots=True)
class Made:
    """An optimizer as it was made: the parameters by identity, of which `first` is one, and the
    version of that; its settings; and what is called `turn`, the loop's variable, at `loop`."""

    at: int
    kind: type
    identities: tuple[int, ...]
    first: Ref
    version: int
    settings: tuple[tuple[Any, Any], ...]
    turn: str
    loop: Spot | None


class RemadeOptimizers:
    def __init__(self, watched: Watched) -> None:
        self._tracer, self._files = watched.tracer, watched.files
        self._registry = watched.ledger.registry
        self._last: dict[Spot, Made] = {}
        self._rows: dict[Spot, int] = {}
        self._counts: dict[Spot, int] = {}
        # By an optimizer's place: the version of its first parameter after its last step.
        self._left: dict[int, int] = {}
        # Those that keep something of each gradient.
        self._keeping: set[int] = set()
        watched.tracer.handle(torch.optim.Optimizer.__init__, self._made, "return")
        watched.ledger.on_stepped.append(self._on_stepped)

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing: the optimizers themselves are seen."""

    def _on_stepped(self, state: OptimizerState, parameters: list[Any], spot: Spot | None) -> None:
        if not parameters:
            return
        self._left[state.at] = version_of(parameters[0])
        if not state.steps and _keeps(state.ref()):
            self._keeping.add(state.at)

    def _made(self, frame: FrameType, event: str, arg: Any) -> None:
        optimizer = frame.f_locals.get("self")
        parameters = parameters_of(optimizer)
        spot = self._tracer.spot(frame.f_back)
        if spot is None or not parameters or self._counts.get(spot, 0) >= MOST:
            return
        self._counts[spot] = self._counts.get(spot, 0) + 1
        with Unnoticed():
            turn, loop = self._turn(frame.f_back)
            state = self._registry.state(optimizer)
            made = Made(
                state.at, type(optimizer), tuple(map(id, parameters)), Ref(parameters[0]),
                version_of(parameters[0]), _settings(optimizer), turn, loop,
            )  # fmt: skip
            before = self._last.get(spot)
            self._last[spot] = made
            if before is not None and self._again(before, made, parameters[0]):
                self._rows[spot] = self._rows.get(spot, 0) + 1
            elif self._rows.get(spot, 0) < ENOUGH - 1:
                self._rows.pop(spot, None)

    def _turn(self, frame: FrameType | None) -> tuple[str, Spot | None]:
        """The variable of the innermost loop around the line that runs, in whichever function that
        is, and the line in it."""
        for each in user_frames(frame, self._files):
            loop = loop_around(each.f_code.co_filename, each.f_lineno)
            if loop is not None:
                if isinstance(loop, ast.While):
                    break
                name = ast.unparse(loop.target).strip("()").split(",")[0].lower()
                over = ast.unparse(loop.iter).lower()
                epochs = "epoch" in name or ("epoch" in over and name == "_")
                return "epoch" if epochs else name, self._tracer.spot(each)
        return "", None

    def _again(self, before: Made, made: Made, first: Any) -> bool:
        state = self._registry.states[before.at]
        if before.kind is not made.kind or before.identities != made.identities:
            return False
        if before.settings != made.settings or before.turn != made.turn:
            return False
        # What has written to the parameters since, as load_state_dict() does, begins another run.
        if before.first() is not first or self._left.get(before.at) != made.version:
            return False
        if state.at not in self._keeping or state.handed_on:
            return False
        return made.turn in (_STEPS if state.steps == 1 else _EPOCHS)

    def found(self) -> Iterator[OptimizerRemade]:
        for spot, row in self._rows.items():
            made = self._last[spot]
            if row + 1 >= ENOUGH:
                yield OptimizerRemade(located(spot), made.at, row + 1, located(made.loop))


def _keeps(optimizer: Any) -> bool:
    """Whether it keeps a tensor of a parameter besides the count of its steps."""
    state: Any = attributes(optimizer).get("state")
    for kept in list(dict.values(state)) if is_a(state, dict) else ():
        if any(name != "step" and is_tensor(value) for name, value in items(kept)):
            return True
    return False


def _settings(optimizer: Any) -> tuple[tuple[Any, Any], ...]:
    """Its defaults that are plain values."""
    return tuple(
        (name, value)
        for name, value in items(attributes(optimizer).get("defaults"))
        if exactly(name, str) and _plain(value)
    )


def _plain(value: Any) -> bool:
    if exactly(value, tuple):
        return all(map(_plain, value))
    return exactly(value, int, float, bool, str)
