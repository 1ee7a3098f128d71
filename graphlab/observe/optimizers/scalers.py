"""Notes which losses a GradScaler has scaled, and what it and schedulers do with optimizers."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch

from graphlab.observe.hooks.line_tracer import LineTracer
from graphlab.observe.names import parameters_of
from graphlab.observe.notes import Log, RawBackward, RawWrite, located
from graphlab.observe.optimizers.registry import OptimizerRegistry, OptimizerState
from graphlab.observe.tensors import (
    Unnoticed,
    WeakMap,
    is_tensor,
    readable,
    storage_key,
    tensors_in,
)
from graphlab.source.objects import attribute, attributes, exactly, is_a, item, items

# How many rates a scheduler must have set, and steps another optimizer taken meanwhile.
CHANGES = 3


class Scalers:
    """Handles the tracer's events of torch.amp.GradScaler, and of learning-rate schedulers."""

    def __init__(self, tracer: LineTracer, registry: OptimizerRegistry) -> None:
        self._tracer, self._registry = tracer, registry
        # The scaler of each loss that one has scaled.
        self._scaled = WeakMap()
        # By an optimizer's place: what its schedulers did since it stepped last.
        self._idle: dict[int, IdleRates] = {}
        scaler, schedulers = torch.amp.GradScaler, torch.optim.lr_scheduler
        tracer.handle(scaler.scale, self._on_scale)
        tracer.handle(scaler.step, self._on_step)
        for kind in (schedulers.LRScheduler, schedulers.ReduceLROnPlateau):
            tracer.handle(kind.step, self._on_schedule)

    def note(self, record: RawBackward, values: dict[str, Any]) -> None:
        """Note which scaler has scaled the loss of a backward with these arguments."""
        if self._scaled:
            scaler = self._scaled.get(next(tensors_in(values.get("tensors")), None))
            record.scaler = weakref.ref(scaler) if scaler is not None else None

    def _on_scale(self, frame: FrameType, event: str, arg: Any) -> None:
        scaler = frame.f_locals.get("self")
        if event == "return" and is_a(scaler, torch.amp.GradScaler):
            with Unnoticed():
                for each in tensors_in(arg):
                    self._scaled.put(each, scaler)

    def _on_step(self, frame: FrameType, event: str, arg: Any) -> None:
        """A scaler may leave a step out, as it finds gradients that overflowed: what it was handed
        was not lost."""
        optimizer = frame.f_locals.get("optimizer")
        if event != "call" or not is_a(optimizer, torch.optim.Optimizer):
            return
        with Unnoticed():
            state = self._registry.state(optimizer)
            state.handed_on = True
            self._registry.gradients_of(state, parameters_of(optimizer))
            for facts in state.facts():
                for source in facts.sources:
                    source.applied = True

    def _on_schedule(self, frame: FrameType, event: str, arg: Any) -> None:
        optimizer = attribute(frame.f_locals.get("self"), "optimizer")
        if event == "return" and is_a(optimizer, torch.optim.Optimizer):
            with Unnoticed():
                state = self._registry.state(optimizer)
                state.scheduled += 1
                state.scheduled_spot = self._tracer.spot(frame.f_back)
                self._compare(state, optimizer)

    def _compare(self, state: OptimizerState, optimizer: Any) -> None:
        """Whether a scheduler has changed the rate of an optimizer again and again, that does not
        step, while another one steps the same parameters at the same rate."""
        known = self._idle.get(state.at)
        if known is None or known.steps != state.steps:
            # It has stepped since.
            self._idle[state.at], state.in_vain = IdleRates(state.steps), None
            return
        if len(known.own) < CHANGES:
            known.own.add(_rates(optimizer))
        if known.among != len(self._registry.states):
            known.among = len(self._registry.states)
            mine = {id(each) for each in parameters_of(optimizer)}
            for other, each in self._registry.followed():
                if other is not state and not mine.isdisjoint(map(id, parameters_of(each))):
                    known.others.setdefault(other.at, (other.steps, _rates(each)))
        state.in_vain = None
        for at, (began, rates) in list(known.others.items()):
            other = self._registry.states[at]
            if (each := other.ref()) is None or _rates(each) != rates:
                known.others[at] = (began, ())
            elif len(known.own) == CHANGES and other.steps - began >= CHANGES:
                state.in_vain = at


@dataclass(slots=True)
class IdleRates:
    """The first rates of an optimizer after its step number `steps`; and those that hold some of
    its parameters, `among` so many: (the steps that they had, their rates; none if they changed) by
    their places."""

    steps: int
    own: set[tuple[float, ...]] = field(default_factory=set)
    among: int = 0
    others: dict[int, tuple[int, tuple[float, ...]]] = field(default_factory=dict)


def _rates(optimizer: Any) -> tuple[float, ...]:
    groups = items(attribute(optimizer, "param_groups"))
    found = (item(each, "lr") for _, each in groups)
    return tuple(each for each in found if exactly(each, float, int))


def unscaled(scaler: Any, optimizer: Any) -> bool | None:
    """Whether the gradients of `optimizer` are free of the scale: unscale_() ran since the last
    update(), or the scale is 1. None where that cannot be read. Private to torch:
    `GradScaler._per_optimizer_states` and `_scale`."""
    own = attributes(scaler)
    states: Any = own.get("_per_optimizer_states")
    if not is_a(states, dict):
        return None
    if own.get("_enabled") is False:
        return True
    stage = item(dict.get(states, id(optimizer)), "stage")
    if getattr(stage, "name", "READY") != "READY":
        return True
    return scale_of(scaler) == 1.0 if is_tensor(own.get("_scale")) else None


def scale_of(scaler: Any) -> float:
    """What a scaler multiplies losses with; 1 where that cannot be read."""
    scale: Any = attributes(scaler).get("_scale")
    return float(scale) if is_tensor(scale) and readable(scale) else 1.0


def written_since(log: Log, record: RawBackward, grads: list[Any]) -> bool:
    """Whether the program has written to gradients since a backward, other than by clipping them:
    it may have unscaled them itself. True as well where that is too long ago to be known."""
    keys = {storage_key(each) for each in grads if each is not None}
    for event in reversed(log.events):
        if event is record:
            return False
        if isinstance(event, RawWrite) and not keys.isdisjoint(each[0] for each in event.tensors):
            at = located(event.spot)
            if at is None or "clip_grad" not in at.code:
                return True
    return True
