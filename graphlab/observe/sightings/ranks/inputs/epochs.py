"""Notices a DistributedSampler that is never told the epoch, and so shuffles always alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from types import FrameType
from typing import Any

from torch.utils.data import DistributedSampler

from graphlab.observe.notes import Spot, located
from graphlab.observe.sightings.watched import Watched
from graphlab.source.objects import attributes
from graphlab.trace.ranks.inputs import SameOrder

# So many passes of one sampler are kept.
PASSES = 256


class _Sampler:
    """One of them, made at `spot`, and its passes: where each began, its epoch, and how many steps
    there had been before."""

    def __init__(self, spot: Spot | None) -> None:
        self.spot = spot
        self.passes: list[tuple[Spot | None, int, int]] = []


class Epochs:
    """Handles the sampler's making and each beginning of a pass."""

    def __init__(self, watched: Watched) -> None:
        self._tracer, self._registry = watched.tracer, watched.ledger.registry
        self._all: list[_Sampler] = []
        self._known: dict[int, _Sampler] = {}
        watched.tracer.handle(DistributedSampler.__init__, self._made, "return")
        watched.tracer.handle(DistributedSampler.__iter__, self._begins, "call")

    def found(self) -> Iterator[SameOrder]:
        for sampler in self._all:
            ends = [steps for _, _, steps in sampler.passes[1:]] + [self._registry.taken()]
            trained = Counter(
                spot
                for (spot, _, steps), end in zip(sampler.passes, ends, strict=True)
                if end > steps
            )
            epochs = {epoch for _, epoch, _ in sampler.passes}
            for spot, count in trained.items():
                if count > 1 and len(epochs) == 1:
                    yield SameOrder(located(sampler.spot), located(spot), count, epochs.pop())
                    break

    def _made(self, frame: FrameType, event: str, arg: Any) -> None:
        found = _Sampler(self._tracer.spot(frame.f_back))
        self._all.append(found)
        # Another one may have had the identity before.
        self._known[id(frame.f_locals.get("self"))] = found

    def _begins(self, frame: FrameType, event: str, arg: Any) -> None:
        sampler = frame.f_locals.get("self")
        known, own = self._known.get(id(sampler)), attributes(sampler)
        if known is None or own.get("shuffle") is not True or len(known.passes) >= PASSES:
            return
        epoch = own.get("epoch")
        if type(epoch) is int:
            known.passes.append((self._tracer.spot(frame.f_back), epoch, self._registry.taken()))
