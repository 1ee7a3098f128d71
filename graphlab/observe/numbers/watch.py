"""Watches for the first number that is not finite in every run, and finds where it was made.

At each backward the loss is looked at, and all parameters of an optimizer at every `EVERY`th of its
steps; what is on another device than the CPU is read late, so that the program never waits for it.
What is found is told only once it did harm: a step has applied it, or a parameter has it. A loss
may be infinite where the program skips the step.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import FrameType
from typing import Any

import torch

from graphlab.observe.graph.walk import grad_edge, leaf_of, listed, walk
from graphlab.observe.hooks.line_tracer import LineTracer
from graphlab.observe.live_objects import TensorTable
from graphlab.observe.names import parameters_of
from graphlab.observe.notes import Log, RawBackward, RawZero, Spot, located
from graphlab.observe.numbers.births import sighting
from graphlab.observe.numbers.checks import checked_by, refused_by_clipping
from graphlab.observe.numbers.finite import largest, number, odd
from graphlab.observe.numbers.kept.buffers import Buffers
from graphlab.observe.numbers.kept.growth import SmallParameters
from graphlab.observe.numbers.kept.settings import with_setting
from graphlab.observe.numbers.late import FIRST, LateLook
from graphlab.observe.numbers.tracking import Tracking
from graphlab.observe.numbers.verdicts import Verdicts
from graphlab.observe.optimizers.ledger import OptimizerLedger
from graphlab.observe.optimizers.registry import OptimizerState
from graphlab.observe.tensors import (
    Unnoticed,
    count_of,
    device_of,
    grad_fn_of,
    grads_of,
    is_tensor,
    readable,
)
from graphlab.source.files import UserFiles, user_frame
from graphlab.trace.sightings import NonFinite

# At which steps of an optimizer all its parameters are looked at; how many graphs are looked at
# whose numbers then did no harm.
EVERY, LOOKS = 16, 50


class NumberWatch:
    def __init__(
        self,
        log: Log,
        tracer: LineTracer,
        files: UserFiles,
        ledger: OptimizerLedger,
        table: TensorTable,
        guard: Callable[[Exception], None],
    ) -> None:
        self._log, self._tracer, self._files = log, tracer, files
        self._ledger, self._table = ledger, table
        self._tracking = Tracking(log, tracer, files, table, lambda: ledger.steps.depth > 0, guard)
        # From which iteration on numbers are followed; None: never.
        self._from: int | None = None
        # What was found and has done no harm yet, with the backward whose loss has it.
        self._pending: tuple[RawBackward, NonFinite] | None = None
        self._told: NonFinite | None = None
        # Of a training that diverged, the first of a line's losses that have been infinite ever
        # since, though their gradients were not.
        self._overflowed: tuple[RawBackward, NonFinite] | None = None
        self._looks = 0
        # Called with the frame of a backward whose loss is not finite, or whose operations are
        # followed, before it runs and its graph is freed.
        self.on_alarm: Callable[[FrameType], None] = lambda frame: None
        self._buffers = Buffers(log)
        self._small = SmallParameters(lambda each: table.tensor_index(each, None))
        self._verdicts = Verdicts(log, files, ledger, table, self._tracking)
        self._late = LateLook(log, ledger, self._verdicts, self._small)
        ledger.on_step.append(self._on_step)
        ledger.on_stepped.append(self._on_stepped)

    def look_from(self, iteration: int) -> None:
        """Follow every number from this iteration on. To be called before the program begins."""
        self._from = iteration
        if iteration <= 0:
            self._tracking.start()

    def stop(self) -> None:
        """No operation is followed any longer. Safe to call twice."""
        self._tracking.stop()

    # What a watcher is asked for.

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Its graph was walked, before it runs."""
        self._buffers.begin()

    def ended(self, record: RawBackward) -> None:
        """A backward has run."""
        self._verdicts.last = record
        start = self._from
        if (
            start is not None
            and self._told is None
            and not self._tracking.on
            and record.iteration is not None
            and record.iteration >= start - 1
        ):
            self._tracking.start()
            self._from = None

    def found(self) -> Iterator[NonFinite]:
        if self._told is None:
            self._at_end()
        if self._told is not None:
            yield self._told

    def raised(self, error: BaseException) -> None:
        """The program has ended with `error`: its own check for such numbers, or torch's."""
        if self._told is not None:
            return
        last = self._verdicts.last
        if last is not None and last.raised_type is not None:
            checks = torch.is_anomaly_enabled() and torch.is_anomaly_check_nan_enabled()
            if not checks or "returned nan" not in str(error):
                return
            if self._pending is not None:
                self._told = self._pending[1]
                return
            birth = self._tracking.last_in_backward
            self._told = (
                sighting(birth, last, False)
                if birth is not None
                else self._verdicts.from_gradients(last, [])
            )
            return
        if refused_by_clipping(error):
            self._told = self._from_gradients()
            return
        checked = checked_by(error, self._files)
        if checked is None:
            return
        frame, values = checked
        if all(grad_fn_of(value) is None for value in values):
            # As a norm of the gradients.
            self._told = self._from_gradients()
            if self._told is not None:
                return
        iteration = self._tracer.iterations.of_traceback(error.__traceback__)
        for value in values:
            birth = self._tracking.of(value)
            if birth is not None:
                self._told = replace(sighting(birth, None, True), loss=_name(value, frame))
                return
            nodes = walk([grad_edge(value)])
            ill = [leaf for node in nodes if (leaf := leaf_of(node)) is not None and odd(leaf)]
            if ill:
                self._told = self._verdicts.from_parameters(None, ill)
            else:
                seen = self._verdicts.from_graph([value], nodes, None, frame)
                seen = replace(seen, in_loss=grad_fn_of(value) is not None)
                look = seen.look_from if seen.at is not None else iteration or 0
                self._told = replace(
                    seen, loss=_name(value, frame), iteration=iteration, look_from=look
                )
            return

    def _from_gradients(self) -> NonFinite | None:
        """What made gradients not finite that no step has applied; None if all are finite."""
        last = self._verdicts.last
        followed = self._ledger.registry.followed()
        parameters = [each for _, optimizer in followed for each in parameters_of(optimizer)]
        grads = zip(parameters, grads_of(parameters), strict=True)
        ill = [each for each, grad in grads if odd(grad)]
        if last is None or not ill:
            return None
        if self._pending is not None:
            return self._pending[1]
        births = [birth for grad in grads_of(ill) if (birth := self._tracking.of(grad)) is not None]
        if births:
            birth = min(births, key=lambda each: (each.meant, each.order))
            return replace(sighting(birth, last, False), tensors=self._verdicts.places(ill))
        return self._verdicts.from_gradients(last, ill)

    # The alarm.

    def begins(self, record: RawBackward, values: Mapping[str, Any], frame: FrameType) -> None:
        """A backward is about to run, that is not inside another one."""
        if self._told is not None or record.is_grad or self._told_late():
            return
        loss: Any = values.get("tensors")
        tracking = self._tracking
        tracking.last_in_backward = None
        tracking.finite_root = not self._is_odd(record, loss)
        if tracking.finite_root and (before := self._overflowed) is not None:
            self._overflowed = None if before[0].spot == record.spot else before
        if tracking.on:
            self.on_alarm(frame)
        if not tracking.finite_root:
            self._loss_is_odd(record, listed(loss), frame)
        elif not tracking.on and values.get("inputs") is None and is_tensor(loss):
            # What would tell which node of this backward made a gradient not finite.
            self._verdicts.steep.begins(record, loss)

    def _is_odd(self, record: RawBackward, loss: Any) -> bool:
        plain = type(loss) is torch.Tensor and device_of(loss) == "cpu"
        if plain and (value := number(loss)) is not None:
            self._verdicts.growth.loss(record, value)
            return not math.isfinite(value)
        if not is_tensor(loss):
            return any(self._is_odd(record, each) for each in listed(loss) if is_tensor(each))
        count = count_of(loss)
        if count == 0 or not readable(loss):
            return False
        if device_of(loss) != "cpu" and not self._tracking.on:
            self._late.ask_loss(record, loss)
            return False
        if count != 1:
            return bool(odd(loss))
        # Not `loss.item`, which a subclass may define, and the program patch.
        value = torch._C.TensorBase.item(loss)
        if type(value) is not float:
            return False
        self._verdicts.growth.loss(record, value)
        return not math.isfinite(value)

    def _told_late(self) -> bool:
        """Whether what had been asked for of a device has arrived and told."""
        if self._late.waits:
            self._told = self._late.found()
        return self._told is not None

    def _loss_is_odd(self, record: RawBackward, losses: list[Any], frame: FrameType) -> None:
        user = user_frame(frame.f_back, self._files)
        for loss in losses:
            birth = self._tracking.of(loss) if self._tracking.on else None
            if birth is not None:
                seen = self._verdicts.with_growth(sighting(birth, record, True), record)
                self._pending = record, seen
                before = (birth.iteration or 0) < (record.iteration or 0)
                carried = birth.phase in ("backward", "step")
                if before and (carried or self._odd_leaves(walk([grad_edge(loss)]))):
                    self._told = seen
                return
        if self._looks >= LOOKS:
            return
        self._looks += 1
        nodes = walk(grad_edge(each) for each in losses if is_tensor(each))
        ill = self._odd_leaves(nodes)
        if ill:
            seen = self._verdicts.with_growth(self._verdicts.from_parameters(record, ill), record)
            seen = self._first_of(seen, record)
            self._told = replace(seen, tensors=self._verdicts.places(ill))
            return
        self.on_alarm(frame)
        seen = self._verdicts.from_graph(losses, nodes, record, user)
        self._pending = record, self._verdicts.with_growth(seen, record)

    @staticmethod
    def _odd_leaves(nodes: list[Any]) -> list[Any]:
        leaves = [leaf for node in nodes if (leaf := leaf_of(node)) is not None]
        return [leaf for leaf in leaves if odd(leaf)]

    # What it did.

    def _on_step(self, state: OptimizerState, parameters: list[Any], spot: Spot | None) -> None:
        """A step is about to begin."""
        if self._told is not None or self._told_late():
            return
        last = self._verdicts.last
        if self._pending is not None or self._tracking.on:
            self._applied(state, parameters, spot)
            if self._told is not None:
                return
        if last is not None:
            self._verdicts.rates.stepping(state, last, spot)
        full = state.steps % EVERY == 0
        if last is not None and parameters and device_of(parameters[0]) != "cpu":
            self._late.ask_parameters(state.at, last, parameters if full else parameters[:FIRST])
        if full:
            self._look_at(state, parameters)
            if self._told is None and self._pending is None:
                self._told = self._verdicts.from_buffers(self._buffers.ill(), sys._getframe())

    def _look_at(self, state: OptimizerState, parameters: list[Any]) -> None:
        """Whether the parameters of an optimizer are finite."""
        at = state.at
        last = self._verdicts.last
        iteration = last.iteration if last is not None else None
        self._small.hold(at, state.ref(), parameters, iteration or 0)
        tops = largest(parameters)
        if tops is None:
            return
        self._verdicts.growth.parameters(at, iteration, tops)
        if device_of(tops) != "cpu":
            return
        now = tops.sum()
        if math.isfinite(float(now)):
            iteration = last.iteration if last is not None else None
            self._verdicts.sound = iteration if iteration is not None else self._verdicts.sound or 0
            self._verdicts.sound_at = last
        elif self._pending is None and self._verdicts.sound is not None:
            ill = [each for each in parameters if odd(each)]
            if ill:
                self._told = self._verdicts.from_parameters(self._verdicts.last, ill)

    def _applied(self, state: OptimizerState, parameters: list[Any], spot: Spot | None) -> None:
        """Whether a step that begins applies a number that is not finite."""
        both = zip(parameters, grads_of(parameters), strict=True)
        given = [(each, grad) for each, grad in both if grad is not None]
        ill = [(each, grad) for each, grad in given if odd(grad)]
        pending, self._pending = self._pending, None
        if pending is not None:
            record, seen = pending
            if not given or self._cleared_since(record):
                return
            # The gradients of a loss that overflowed, as a scaled one does, may be right.
            if ill or (seen.kind == "nan" and record.scaler is None):
                self._told = self._applied_by(seen, [each for each, _ in ill], state, spot)
            elif record.scaler is None and seen.grown is not None and self._overflowed is None:
                self._overflowed = pending
        elif ill:
            births = [birth for _, grad in ill if (birth := self._tracking.of(grad)) is not None]
            if births:
                birth = min(births, key=lambda each: (each.meant, each.order))
                seen = sighting(birth, self._verdicts.last, False)
                self._told = self._applied_by(seen, [each for each, _ in ill], state, spot)

    def _applied_by(
        self, seen: NonFinite, ill: list[Any], state: OptimizerState, spot: Spot | None
    ) -> NonFinite:
        # What was looked for is found: operations need not be followed.
        self.stop()
        name = self._ledger.registry.name_of(state.at)
        last = self._verdicts.last
        seen = self._first_of(seen, last) if last is not None else seen
        return replace(
            seen, step=f"{name}.step()", step_at=located(spot), tensors=self._verdicts.places(ill)
        )

    def _first_of(self, seen: NonFinite, record: RawBackward) -> NonFinite:
        """What was seen at a backward, or what its line's losses have been infinite since."""
        before = self._overflowed
        return before[1] if before is not None and before[0].spot == record.spot else seen

    def _cleared_since(self, record: RawBackward) -> bool:
        for event in reversed(self._log.events):
            if event is record:
                return False
            if isinstance(event, RawZero):
                return True
        return False

    def _on_stepped(self, state: OptimizerState, parameters: list[Any], spot: Spot | None) -> None:
        """A step has ended: with tracking, whether it made a parameter not finite by itself."""
        if not self._tracking.on or self._told is not None:
            return
        ill = [each for each in parameters if odd(each)]
        births = [birth for each in ill if (birth := self._tracking.of(each)) is not None]
        if births:
            seen = sighting(min(births, key=lambda each: each.order), self._verdicts.last, False)
            seen = with_setting(seen, state.ref(), ill)
            self._told = self._applied_by(seen, ill, state, spot)

    def _at_end(self) -> None:
        """The last step may have made a parameter not finite, and no loss was computed since."""
        with Unnoticed():
            self._told = self._late.at_end()
        last, sound = self._verdicts.last, self._verdicts.sound is not None
        if last is None or last.raised_type is not None or self._told is not None:
            return
        with Unnoticed():
            for _, optimizer in self._ledger.registry.followed():
                ill = [each for each in parameters_of(optimizer) if odd(each)]
                if ill and sound:
                    self._told = self._verdicts.from_parameters(last, ill)
                    return
            for state in self._ledger.registry.states if sound else ():
                held = self._small.of(state.at) if state.ref() is None else None
                if held is not None and (gone := held.ill()).values:
                    values = [*gone.values]
                    self._told = self._verdicts.from_parameters(last, values, (state.at, gone))
                    return
            self._told = self._verdicts.from_buffers(self._buffers.ill(at_once=True), None)


def _name(value: Any, frame: FrameType) -> str:
    return next((name for name, each in frame.f_locals.items() if each is value), "")
