"""Notes the learning rates that a ReduceLROnPlateau sets, by a number of each rank's own maybe, and
those that each step was made with."""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch

from graphlab.observe.notes import Spot, located
from graphlab.observe.optimizers.registry import OptimizerState
from graphlab.observe.sightings.watched import Watched
from graphlab.source.objects import attribute, attributes, exactly, item, items
from graphlab.trace.ranks.updates import Rated

# So many changes of one optimizer's rates are kept.
CHANGES = 64


class PlateauRates:
    """Other schedulers compute a rate from how often they were stepped, which is counted."""

    def __init__(self, watched: Watched) -> None:
        self._tracer, self._registry = watched.tracer, watched.ledger.registry
        # Without a line, those of the steps.
        self._changes: dict[tuple[Spot | None, int], list[tuple[int, str]]] = {}
        kind = torch.optim.lr_scheduler.ReduceLROnPlateau
        watched.tracer.handle(kind.step, self._scheduled, "return")
        watched.ledger.on_stepped.append(self._stepped)

    def found(self) -> Iterator[Rated]:
        for (spot, optimizer), changes in self._changes.items():
            yield Rated(located(spot) if spot is not None else None, optimizer, tuple(changes))

    def _stepped(self, state: OptimizerState, parameters: list[Any], spot: Spot | None) -> None:
        optimizer = state.ref()
        if optimizer is not None:
            self._note(None, state, optimizer, state.steps)

    def _scheduled(self, frame: FrameType, event: str, arg: Any) -> None:
        spot = self._tracer.spot(frame.f_back)
        own = attribute(frame.f_locals.get("self"), "optimizer")
        for state, optimizer in self._registry.followed() if spot is not None else ():
            if optimizer is own and spot is not None:
                self._note(spot, state, own, state.steps)

    def _note(self, spot: Spot | None, state: OptimizerState, optimizer: Any, at: int) -> None:
        rates = [item(each, "lr") for _, each in items(attributes(optimizer)["param_groups"])]
        text = ", ".join(repr(each) for each in rates if exactly(each, float, int))
        changes = self._changes.setdefault((spot, state.at), [])
        if len(changes) < CHANGES and (not changes or changes[-1][1] != text):
            changes.append((at, text))
