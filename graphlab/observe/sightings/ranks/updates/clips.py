"""Notes the clippings of gradients, and those that come before the average over the ranks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch

from graphlab.observe.notes import RawBackward, Spot, located
from graphlab.observe.sightings.ranks.collectives import Collectives
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Unnoticed, count_of, readable
from graphlab.source.objects import exactly
from graphlab.source.wording import call_text
from graphlab.trace.ranks.updates import ClippedPart

# So many clippings since the last sampled step are kept, and so many steps before which one came.
KEPT, PARTS = 8, 16


@dataclass(slots=True)
class Clip:
    """One, after `seq`, when there had been `calls` collectives; by which factor, if known."""

    seq: int
    spot: Spot | None
    calls: int
    factor: float | None = None


class Clips:
    """Handles the tracer's events of what clips gradients, and of what unscales them."""

    def __init__(self, watched: Watched, collectives: Collectives) -> None:
        self._tracer, self._registry = watched.tracer, watched.ledger.registry
        self._collectives = collectives
        self._clips: list[Clip] = []
        self._parts: list[ClippedPart] = []
        for function in (torch.nn.utils.clip_grad_norm_, torch.nn.utils.clip_grad_value_):
            watched.tracer.handle(function, self._clipped, "return")
        # A scaler changes them inside its own step().
        for function in (torch.amp.GradScaler.unscale_, torch.amp.GradScaler.step):
            watched.tracer.handle(function, self._unscaled, "call")

    def found(self) -> Iterator[ClippedPart]:
        yield from self._parts

    def taken(self) -> list[Clip]:
        """Those since this was asked last."""
        clips, self._clips = self._clips, []
        return clips

    def stepping(
        self, state: Any, iteration: int | None, record: RawBackward | None, averaged: Spot | None
    ) -> None:
        """A sampled step is about to apply gradients of the backward `record`, which the program
        averaged in the line `averaged`."""
        made = self._collectives.last_call(averaged)
        for clip in self._clips:
            if record is None or made is None or clip.factor is None or clip.seq < record.seq:
                continue
            if clip.calls < made and len(self._parts) < PARTS:
                at, mean = located(clip.spot), located(averaged)
                self._parts.append(
                    ClippedPart(
                        located(state.last_spot),
                        state.at,
                        state.steps,
                        iteration,
                        clip.factor,
                        at,
                        call_text(at, "clip_grad_norm_")[0],
                        mean,
                        call_text(mean, "all_reduce")[0],
                    )
                )
                return

    def _clipped(self, frame: FrameType, event: str, arg: Any) -> None:
        spot = self._tracer.spot(frame.f_back)
        factor = None
        # The norm is read where its numbers are compared alone: that waits for the device.
        if any(state.due for state, _ in self._registry.followed()):
            factor = _factor(frame.f_locals.get("max_norm"), arg)
        clip = Clip(self._tracer.seq(), spot, self._collectives.calls, factor)
        self._clips = [*self._clips[1 - KEPT :], clip]

    def _unscaled(self, frame: FrameType, event: str, arg: Any) -> None:
        spot = self._tracer.spot(frame.f_back)
        if spot is not None:
            clip = Clip(self._tracer.seq(), spot, self._collectives.calls)
            self._clips = [*self._clips[1 - KEPT :], clip]


def _factor(most: Any, norm: Any) -> float | None:
    """What clip_grad_norm_ multiplied the gradients by."""
    if not exactly(most, int, float) or not readable(norm) or count_of(norm) != 1:
        return None
    with Unnoticed(), torch.no_grad():
        whole = float(norm.detach())
    return min(1.0, most / (whole + 1e-6)) if whole >= 0 else None
