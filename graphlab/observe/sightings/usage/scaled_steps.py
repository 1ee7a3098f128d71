"""Notices steps that apply gradients which a GradScaler has scaled and nobody has unscaled."""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType
from typing import Any

from graphlab.observe.notes import RawBackward, Spot, located
from graphlab.observe.optimizers.registry import OptimizerState
from graphlab.observe.optimizers.scalers import scale_of, unscaled, written_since
from graphlab.observe.price.sampling import sampled
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Unnoticed, grads_of
from graphlab.trace.sightings import ScaledStep

# So many first steps of an optimizer are looked at, and a scale as small as this is none.
FIRST, LEAST = 8, 2.0


class ScaledSteps:
    def __init__(self, watched: Watched) -> None:
        self._log, self._registry = watched.log, watched.ledger.registry
        # By an optimizer's place; None: it was seen to step on other gradients as well.
        self._found: dict[int, ScaledStep | None] = {}
        watched.ledger.on_step.append(self._on_step)

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing: the steps themselves are seen."""

    def _on_step(self, state: OptimizerState, parameters: list[Any], spot: Spot | None) -> bool:
        # What a scaler or a closure steps is theirs to unscale.
        if state.handed_on or (state.steps >= FIRST and not sampled(state.steps)):
            return False
        facts = [each for each in state.facts() if each.sources]
        if not facts or any(each.by_hand for each in facts):
            return False
        record = facts[0].sources[-1]
        scaler = record.scaler() if record.scaler is not None else None
        if scaler is None:
            return self._found.setdefault(state.at, None) is None
        with Unnoticed():
            scale = scale_of(scaler)
            if (
                unscaled(scaler, state.ref()) is not False
                or scale < LEAST
                or written_since(self._log, record, grads_of(parameters))
            ):
                self._found[state.at] = None
            elif state.at not in self._found:
                at, call_at = located(spot), located(record.spot)
                self._found[state.at] = ScaledStep(
                    at, state.at, f"{scale:,.0f}", record.call, call_at
                )
        return self._found[state.at] is None

    def found(self) -> Iterator[ScaledStep]:
        for at, each in self._found.items():
            if each is not None and not self._registry.states[at].handed_on:
                yield each
