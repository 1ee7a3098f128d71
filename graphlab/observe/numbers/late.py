"""Looks at losses and parameters that are on a device, without waiting for it.

Each is asked for when a backward or a step begins, and read once the device has come so far: at the
next backward or step, as a rule. By then its graph is gone. What is known is which loss, or whose
gradients, were the first that were not finite; a second run looks from there.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Literal, NamedTuple

import torch

from graphlab.observe.names import parameters_of
from graphlab.observe.notes import Log, RawBackward, RawStep, Spot, located
from graphlab.observe.numbers.finite import largest, odd
from graphlab.observe.numbers.kept.growth import SmallParameters
from graphlab.observe.numbers.verdicts import Verdicts
from graphlab.observe.optimizers.ledger import OptimizerLedger
from graphlab.trace.sightings import NonFinite

# How many numbers wait at once; how many of an optimizer's parameters are looked at in every step.
# A gradient that is not finite reaches those before the operation that made it: the first ones.
WAITING, FIRST = 64, 2
# Steps without a loss, as of gradients from autograd.grad, are sent when there are so many.
TOGETHER = 8
Kind = Literal["nan", "inf"]
# How many losses that were not finite are remembered.
ODD = 16


@dataclass(slots=True)
class _Odd:
    """A loss that was not finite. applied_by: the place of the optimizer whose step came next."""

    record: RawBackward
    kind: Kind
    applied_by: int | None = None


class _Batch(NamedTuple):
    """Numbers that travel together. parts: what each was asked for, and how many are its own."""

    parts: list[tuple[Any, int]]
    values: Any
    event: Any


class Numbers:
    """Numbers on their way from a device to the CPU, in order."""

    def __init__(self) -> None:
        # Those that are asked for with the next ones, and those on their way.
        self._open: list[tuple[Any, list[Any]]] = []
        self._sent: deque[_Batch] = deque()
        self._count = 0
        # Where CUDA writes to while the program goes on; the next place in it.
        self._room: Any = None
        self._next = 0

    @property
    def waiting(self) -> bool:
        return bool(self._sent)

    def ask(self, what: Any, numbers: list[Any]) -> None:
        """`numbers`: a few tensors of one number each, on one device. `what`: comes back with
        their sum. They are sent with the next ones that `send` is called for, or a few later."""
        self._open.append((what, numbers))
        if len(self._open) == TOGETHER:
            self.send()

    def send(self) -> None:
        waiting, self._open = self._open, []
        for _, together in groupby(waiting, key=lambda each: each[1][0].device):
            parts: list[tuple[Any, int]] = []
            numbers: list[Any] = []
            for what, few in together:
                parts.append((what, len(few)))
                numbers += [each if each.dtype is torch.float32 else each.float() for each in few]
            self._count += len(numbers)
            self._sent.append(_Batch(parts, *self._carried(torch.stack(numbers))))

    def _carried(self, numbers: Any) -> tuple[Any, Any]:
        """Where they will be, and the event after which they are; None: they stay for now."""
        if not numbers.is_cuda:
            return numbers, None
        if self._room is None:
            self._room = torch.empty(4 * WAITING, pin_memory=True)
        if self._next + len(numbers) > len(self._room):
            self._next = 0
        place = self._room[self._next : self._next + len(numbers)]
        self._next += len(numbers)
        place.copy_(numbers, non_blocking=True)
        event = torch.cuda.Event()
        event.record(torch.cuda.current_stream(numbers.device))
        return place, event

    def ready(self, at_once: bool = False) -> Iterator[tuple[Any, float]]:
        """Those that have arrived. at_once: all, and the device is waited for. It is as well where
        too many are on their way."""
        if at_once:
            self.send()
        sent = self._sent
        while sent:
            batch = sent[0]
            wanted = at_once or self._count >= WAITING
            if batch.event is None:
                if not wanted:
                    return
                # Not CUDA's: all are waited for, once.
                at_once = True
            elif torch.cuda.is_current_stream_capturing():
                # To ask for an event breaks the capture of a CUDA graph.
                return
            elif not batch.event.query():
                if not wanted:
                    return
                batch.event.synchronize()
            sent.popleft()
            values = batch.values.tolist()
            self._count -= len(values)
            start = 0
            for what, many in batch.parts:
                yield what, sum(values[start : start + many])
                start += many


class _Asked(NamedTuple):
    """A loss, or parameters as a step of their optimizer began: its place, and None for a loss.
    record: the loss's backward, or the last one before the step."""

    record: RawBackward
    optimizer: int | None


class LateLook:
    def __init__(
        self, log: Log, ledger: OptimizerLedger, verdicts: Verdicts, small: SmallParameters
    ) -> None:
        self._log, self._ledger, self._verdicts, self._small = log, ledger, verdicts, small
        self._numbers = Numbers()
        # The losses that were not finite, each with the place of the optimizer whose step came
        # next: its parameters show whether the loss did harm.
        self._odd: list[_Odd] = []
        # By place: the last backward before the step at which its parameters were finite still.
        self._sound: dict[int, RawBackward] = {}
        # By line: the first of the losses that have been infinite ever since, without harm.
        self._overflowed: dict[Spot | None, _Odd] = {}

    @property
    def waits(self) -> bool:
        """Whether anything was asked for that has not been read."""
        return self._numbers.waiting

    def ask_loss(self, record: RawBackward, loss: Any) -> None:
        loss = loss.detach()
        whole = loss if loss.dim() == 0 else loss.sum()
        self._numbers.ask(_Asked(record, None), [whole.real if whole.is_complex() else whole])
        self._numbers.send()

    def ask_parameters(self, at: int, record: RawBackward, parameters: Sequence[Any]) -> None:
        """A step of the optimizer at place `at` is about to begin. They are sent with the next
        loss."""
        tops = largest(parameters)
        if tops is not None:
            self._numbers.ask(_Asked(record, at), [tops.sum()])

    def found(self, at_once: bool = False) -> NonFinite | None:
        """What the numbers that have arrived tell. To be called inside of Unnoticed."""
        for asked, value in self._numbers.ready(at_once):
            seen = self._arrived(asked, value)
            if seen is not None:
                return seen
        return None

    def at_end(self) -> NonFinite | None:
        """The program has ended: what is left is waited for."""
        seen = self.found(at_once=True)
        for each in [*self._odd]:
            if seen is None and each.applied_by is not None:
                # Its gradients were the last that this optimizer applied.
                seen = self._harm(each.applied_by)
        return seen

    def _arrived(self, asked: _Asked, value: float) -> NonFinite | None:
        record, at = asked
        fine = math.isfinite(value)
        if at is None:
            self._verdicts.growth.loss(record, value)
            if fine:
                self._overflowed.pop(record.spot, None)
            elif len(self._odd) < ODD:
                self._odd.append(_Odd(record, "nan" if math.isnan(value) else "inf"))
            return None
        if not fine:
            return self._harm(at)
        self._sound[at] = record
        self._verdicts.sound = record.iteration if record.iteration is not None else 0
        self._verdicts.sound_at = record
        for each in [*self._odd]:
            if each.applied_by is None:
                each.applied_by = at
            elif each.applied_by == at:
                # The step was left out, or its gradients were finite.
                self._odd.remove(each)
                if each.record.scaler is None:
                    self._overflowed.setdefault(each.record.spot, each)
        return None

    def _harm(self, at: int) -> NonFinite | None:
        """What made parameters of the optimizer at place `at` not finite, if any is."""
        optimizer = self._ledger.registry.states[at].ref()
        gone = self._small.of(at) if optimizer is None else None
        values: list[Any] = []
        if gone is not None:
            gone = gone.ill()
            values = [*gone.values]
        elif optimizer is not None:
            values = [each for each in parameters_of(optimizer) if odd(each)]
        if not values:
            return None
        applied = next((each for each in self._odd if each.applied_by == at), None)
        if applied is not None:
            places = gone.places if gone is not None else self._verdicts.places(values)
            return self._of_loss(applied, places)
        # No loss was ill before they were.
        before = self._sound.get(at)
        held = (at, gone) if gone is not None else None
        seen = self._verdicts.from_parameters(None, values, held, before)
        return self._verdicts.with_growth(seen, before) if before is not None else seen

    def _of_loss(self, odd: _Odd, places: tuple[int, ...]) -> NonFinite:
        """With the step that applied its gradients: the next one."""
        record = odd.record
        seen = self._verdicts.of_loss(record, odd.kind)
        first = self._overflowed.get(record.spot)
        if first is not None and seen.grown is not None:
            record = first.record
            seen = self._verdicts.of_loss(record, first.kind)
        seen = replace(seen, tensors=places)
        step: RawStep | None = None
        for event in reversed(self._log.events):
            if event is record:
                break
            if isinstance(event, RawStep):
                step = event
        if step is None:
            return seen
        name = self._ledger.registry.name_of(step.optimizer)
        return replace(seen, step=f"{name}.step()", step_at=located(step.spot))
