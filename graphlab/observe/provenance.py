"""Follows gradients from the backward that wrote them to the step that applies them, or to the
zero_grad that throws them away.

Which backward wrote where is noted every time. The vectors themselves are compared on sampled
steps only.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType
from typing import Any

from graphlab.observe.contributions import OUTSIDE, Contributions, Held, Label
from graphlab.observe.cut import cut_before
from graphlab.observe.gradients import Handed, ParameterState
from graphlab.observe.holders import Holders, OptimizerState, parameters_of
from graphlab.observe.log import Log, RawBackward, RawWrite, Spot
from graphlab.observe.names import Names
from graphlab.observe.source import UserFiles, locate
from graphlab.observe.storage import storage_key, version_of
from graphlab.observe.waste import ways
from graphlab.trace.model import Mix

# As many losses are read for what keeps them from a parameter that no gradient reaches.
READ = 6


class Provenance:
    def __init__(self, log: Log, files: UserFiles, holders: Holders) -> None:
        self._log, self._files, self._holders = log, files, holders
        self._before: list[tuple[Any, ParameterState, int, int]] = []
        self._searched = False
        self.any_backward = False
        self.handed = Handed()
        self.inside_step: Callable[[], bool] = lambda: False
        # Lines with a backward: whose graph was looked at; whose gradients were thrown away; and
        # the first of each of those whose graph had been looked at.
        self._looked: set[Spot | None] = set()
        self._suspects: set[Spot | None] = set()
        self.wasteful: dict[Spot | None, RawBackward] = {}

    def search(self, frame: FrameType) -> None:
        """Before the first backward: the optimizers that were made before anybody watched."""
        if not self._searched:
            self._searched = True
            names = Names(self._files).gather(frame)
            for optimizer in names.held_optimizers():
                self._holders.learn(self._holders.state(optimizer), optimizer, names)

    def look(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """At an inspected backward: which parts of its graph lead to whose parameters. Asked at
        the first one of each line, and again where gradients have been thrown away."""
        self._look_for_cuts(record, frame)
        spot = record.spot
        if spot not in self._looked or (spot in self._suspects and spot not in self.wasteful):
            self._looked.add(spot)
            self.search(frame)
            holders = self._holders.places()
            record.ways = ways(nodes, lambda leaf: holders.get(id(leaf), ()), self._log)

    def _look_for_cuts(self, record: RawBackward, frame: FrameType) -> None:
        """What keeps this loss from the parameters that no gradient has reached so far."""
        for state, optimizer in self._holders.followed():
            if not state.never_reached or state.cut is not None or state.read >= READ:
                continue
            state.read += 1
            missing = {
                id(p)
                for p in parameters_of(optimizer)
                if self._holders.place_of(p, None) in state.never_reached
            }
            state.cut = cut_before(frame.f_back, record.loss, self._files, missing)

    def before_backward(self, record: RawBackward, frame: FrameType) -> None:
        self.any_backward = True
        self.search(frame)
        self._before = before = []
        overwritten, handed = self._overwritten, self.handed.of
        for parameter, state in self._holders.tracked():
            grad = parameter.grad
            if grad is None:
                if state.sources or state.by_hand:
                    self._throw(state, None)
                    state.clear()
                before.append((parameter, state, 0, 0))
            else:
                state.settle(grad, overwritten, handed)
                before.append((parameter, state, id(grad), version_of(grad)))
        if not record.is_grad:
            self._open(label_of(record))

    def _open(self, label: Label) -> None:
        for state, optimizer in self._holders.followed():
            if not state.due:
                state.contributions = None
                continue
            held, fresh = self._held(state, parameters_of(optimizer))
            if state.contributions is None:
                if not fresh:
                    # Part of it was put there when nobody compared: it cannot be told apart.
                    continue
                state.contributions = Contributions()
            state.contributions.begin(label, held)

    def after_backward(self, record: RawBackward) -> None:
        reached = []
        changed = set()
        for parameter, state, grad_id, version in self._before:
            grad = parameter.grad
            if grad is None:
                continue
            if id(grad) != grad_id or version_of(grad) != version:
                state.written(record, grad)
                if state.index is None:
                    state.index = self._holders.place_of(parameter, None)
                reached.append(state.index)
                changed.add(id(parameter))
        self._before = []
        record.reached = tuple(reached)
        for state in self._holders.alive:
            if state.never_reached or state.strangers:
                state.never_reached = tuple(i for i in state.never_reached if i not in reached)
                state.strangers = tuple(i for i in state.strangers if i not in reached)
            if state.contributions is not None and not record.is_grad:
                optimizer = state.ref()
                if optimizer is not None:
                    held, _ = self._held(state, parameters_of(optimizer))
                    state.contributions.end(held, changed)

    def cleared(self, parameters: list[Any], spot: Spot | None) -> None:
        """zero_grad, called at `spot`, is about to clear the gradients of these."""
        for parameter in parameters:
            state = self._holders.known(parameter)
            if state is not None and state.sources:
                self._throw(state, spot)
                state.clear()

    def _throw(self, state: ParameterState, spot: Spot | None) -> None:
        """A gradient is cleared: what was added since a step last applied it was for nothing."""
        if self.inside_step():
            # A closure's gradients are the optimizer's to use as it likes.
            return
        applied = max(state.spent.values(), default=0)
        for source in state.sources[applied:]:
            if not applied:
                source.thrown_away += 1
            if source.ways is None or state.index is None:
                self._suspects.add(source.spot)
            else:
                source.thrown.append(state.index)
                source.thrown_at = spot
                self.wasteful.setdefault(source.spot, source)

    def settle(self, state: ParameterState, grad: Any) -> None:
        """Notice what the program itself has done to a gradient since it was last looked at."""
        state.settle(grad, self._overwritten, self.handed.of)

    def mixed(self, state: OptimizerState, parameters: list[Any]) -> Mix | None:
        """Before a sampled step: what the gradients that it applies are made of."""
        held, fresh = self._held(state, parameters)
        if state.contributions is None and fresh:
            # No backward was compared: all that is there came by other ways.
            state.contributions = Contributions()
        found = state.contributions.mix(held) if state.contributions is not None else None
        if found is None:
            return None
        mix, state.by_parameter = found
        return mix

    def _held(self, state: OptimizerState, parameters: list[Any]) -> tuple[list[Held], bool]:
        """The parameters as `contributions` wants them, and whether no backward has written any
        of their gradients since they were cleared."""
        found, fresh = [], True
        gradients = self._holders.gradients_of(state, parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            place = self._holders.place_of(parameter, None)
            base = None
            if not gradient.sources:
                base = OUTSIDE
                if state.contributions is not None:
                    state.contributions.forget(parameter)
            elif gradient.sources[-1].is_grad:
                base = label_of(gradient.sources[-1])
            fresh = fresh and base is not None
            found.append(Held(parameter, place, base))
        return found, fresh

    def _overwritten(self, grad: Any) -> bool:
        """Whether the program's last write to a gradient put new values there, rather than
        scaling what stood there."""
        key = storage_key(grad)
        for event in reversed(self._log.events):
            if isinstance(event, RawWrite) and any(each[0] == key for each in event.tensors):
                return event.by in ("copy_()", "[…] = …", ".data = …", "fill_()", "set_()")
        return False


def label_of(record: RawBackward) -> Label:
    return record.loss, locate(*record.spot).line if record.spot is not None else None
