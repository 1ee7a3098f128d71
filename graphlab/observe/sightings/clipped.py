"""Notices gradients clipped in vain: still scaled, after the step, before the backward, of other
parameters than those stepped, or of those that an iterator has given away already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType, GeneratorType
from typing import Any

import torch

from graphlab.observe.names import parameters_of
from graphlab.observe.notes import RawBackward, Spot, located
from graphlab.observe.optimizers.gradients.parameters import ParameterState
from graphlab.observe.optimizers.registry import OptimizerState
from graphlab.observe.optimizers.scalers import scale_of, unscaled, written_since
from graphlab.observe.optimizers.vectors import any_nonzero
from graphlab.observe.price.sampling import sampled
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Unnoticed, is_tensor
from graphlab.source.objects import exactly, is_a, items
from graphlab.source.wording import call_text
from graphlab.trace.sightings import Clipped

# So many first calls at a line are looked at.
FIRST = 8
# A limit as high as this cuts nothing: such a call measures the norm. So it does where the limit is
# more than this part of the scale that the gradients still have.
MEASURES, OF_SCALE = 1e4, 0.1


@dataclass(slots=True)
class _Pending:
    """A clipping of gradients that `record` gave to `state`, until it is known what became of them:
    `given` are the parameters, `stepped` is an optimizer of others that has applied what the same
    backward gave it."""

    state: OptimizerState
    record: RawBackward
    given: set[int]
    stepped: OptimizerState | None = None
    step: Spot | None = None


class ClipCalls:
    """Handles the tracer's events of torch.nn.utils.clip_grad_norm_ and clip_grad_value_."""

    def __init__(self, watched: Watched) -> None:
        self._tracer, self._registry = watched.tracer, watched.ledger.registry
        self._log = watched.log
        self._calls: Counter[Spot | None] = Counter()
        # {the line of the call: {why it had no effect, "" if it had one: how often}}
        self._seen: dict[Spot | None, Counter[str]] = {}
        self._about: dict[Spot | None, tuple[OptimizerState, RawBackward | None]] = {}
        self._steps: dict[Spot | None, Spot | None] = {}
        self._pending: dict[Spot | None, _Pending] = {}
        # Whether the call that runs was given an iterator that had come to its end before.
        self._used_up = False
        watched.ledger.on_step.append(self._on_step)
        for function in (torch.nn.utils.clip_grad_norm_, torch.nn.utils.clip_grad_value_):
            watched.tracer.handle(function, self._on_clip)

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing: the calls themselves are seen."""

    def _on_clip(self, frame: FrameType, event: str, arg: Any) -> None:
        if event == "call":
            self._used_up = _used_up(frame.f_locals.get("parameters"))
        if event != "return":
            return
        spot = self._tracer.spot(frame.f_back)
        count = self._calls[spot]
        self._calls[spot] += 1
        values = frame.f_locals
        limit = _number(values.get("max_norm", values.get("clip_value")))
        if limit >= MEASURES or (count >= FIRST and not sampled(count)):
            return
        with Unnoticed():
            self._settle(spot)
            found = self._of_none() if self._used_up else self._judge(values, limit)
            if found is None:
                return
            why, state, record = found
            given = {id(each) for _, each in items(values.get("parameters")) if is_tensor(each)}
            # An iterator does not tell whose they are.
            if why or record is None or not given:
                self._note(spot, why, state, record)
                return
            self._pending[spot] = _Pending(state, record, given)
            for each, _ in self._registry.followed():
                if self._on_step not in each.on_step:
                    each.on_step.append(self._on_step)

    def _note(
        self, spot: Spot | None, why: str, state: OptimizerState, record: RawBackward | None
    ) -> None:
        self._seen.setdefault(spot, Counter())[why] += 1
        self._about.setdefault(spot, (state, record))

    def _on_step(self, state: OptimizerState, parameters: list[Any], spot: Spot | None) -> bool:
        for at, each in list(self._pending.items()):
            if not each.given.isdisjoint(map(id, parameters)):
                self._settle(at)
            elif each.stepped is None and _has(state, each.record):
                each.stepped, each.step = state, spot
        return not self._pending

    def _settle(self, spot: Spot | None) -> None:
        """What became of the gradients that were clipped at `spot` the last time."""
        each = self._pending.pop(spot, None)
        if each is None:
            return
        if each.stepped is None or _has(each.state, each.record):
            self._note(spot, "", each.state, each.record)
            return
        self._steps.setdefault(spot, each.step)
        self._note(spot, "others", each.stepped, each.record)

    def _of_none(self) -> tuple[str, OptimizerState, None] | None:
        """Of an optimizer: whose gradients were meant is not known."""
        for state, _ in self._registry.followed():
            return "used_up", state, None
        return None

    def _judge(
        self, values: dict[str, Any], limit: float
    ) -> tuple[str, OptimizerState, RawBackward | None] | None:
        grads = {id(each): each for _, each in items(values.get("grads")) if is_tensor(each)}
        given = {id(each) for _, each in items(values.get("parameters")) if is_tensor(each)}
        for state, optimizer in self._registry.followed():
            self._registry.gradients_of(state, parameters_of(optimizer))
            gradients = state.apart(wait=False)
            mine = [each for each in gradients if each.sources and each.grad_id in grads]
            if not mine:
                if _cleared(gradients, state.identities, given, grads):
                    return "none", state, None
                continue
            record = mine[0].sources[-1]
            if any(each.by_hand or _unspent(each) for each in mine):
                scaler = record.scaler() if record.scaler is not None else None
                scaled = (
                    scaler is not None
                    and unscaled(scaler, optimizer) is False
                    and limit < OF_SCALE * scale_of(scaler)
                    and not written_since(self._log, record, [*grads.values()])
                )
                return "scaled" if scaled else "", state, record
            return "spent", state, record
        return None

    def found(self) -> Iterator[Clipped]:
        for spot, seen in self._seen.items():
            why, count = seen.most_common(1)[0]
            # The first call may have had what the iterator still held.
            if count < 2 or (seen[""] and why != "used_up"):
                continue
            state, record = self._about[spot]
            at = located(spot)
            yield Clipped(
                at,
                call_text(at, "clip_grad_norm_")[0],
                why,  # pyright: ignore[reportArgumentType]
                state.at,
                count,
                step=located(self._steps.get(spot, state.last_spot)) if why != "used_up" else None,
                backward=located(record.spot) if record is not None else None,
            )


def _has(state: OptimizerState, record: RawBackward) -> bool:
    """Whether some of its gradients hold what a backward gave them."""
    return any(record in each.sources for each in state.facts())


def _used_up(given: Any) -> bool:
    """Whether a generator has come to its end, or the one that a filter or a map reads."""
    while exactly(given, filter, map):
        # (the class, (the function, what it reads, …)): nothing of the program's runs.
        given = given.__reduce__()[1][1]
    return exactly(given, GeneratorType) and given.gi_frame is None


def _cleared(
    gradients: list[ParameterState], identities: list[int], given: set[int], grads: dict[int, Any]
) -> bool:
    """Whether the parameters `given` have had gradients, and none has one that is not cleared.
    Those that never had one may be frozen, or not be used yet."""
    if not grads:
        rows = zip(gradients, identities, strict=True)
        return any(each.seen and identity in given for each, identity in rows)
    mine = [each for each in gradients if each.zeroed and each.grad_id in grads]
    return bool(mine) and not any(any_nonzero(each) for each in grads.values())


def _number(value: Any) -> float:
    """The value of a number of Python's or NumPy's; 0 for anything else."""
    if is_a(value, float):
        return float.__float__(value)
    return float(int.__int__(value)) if is_a(value, int) else 0.0


def _unspent(gradient: ParameterState) -> bool:
    return max(gradient.spent.values(), default=0) < len(gradient.sources)
