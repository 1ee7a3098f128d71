"""Notices by what each DistributedSampler shuffles: the seed, and the epoch that it is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from torch.utils.data import DataLoader, DistributedSampler

from graphlab.observe.notes import Spot, located
from graphlab.observe.sightings.watched import Watched
from graphlab.source.objects import attributes
from graphlab.trace.ranks.inputs import SameOrder, Shuffled

# So many passes of one sampler are kept.
PASSES = 256


@dataclass(slots=True)
class _Pass:
    """Where it began, its epoch, and how many steps had been made when it began and ended."""

    spot: Spot | None
    epoch: int
    began: int
    ended: int | None = None


class _Sampler:
    """One of them, made at `spot`, and its passes."""

    def __init__(self, spot: Spot | None) -> None:
        self.spot = spot
        # How many samples it shares out, which part it takes, of how many, and its seed.
        self.plan: tuple[int, int, int, int] | None = None
        self.passes: list[_Pass] = []


class Epochs:
    """Handles the sampler's making and each beginning of a pass."""

    def __init__(self, watched: Watched) -> None:
        self._tracer, self._registry = watched.tracer, watched.ledger.registry
        self._all: list[_Sampler] = []
        self._known: dict[int, _Sampler] = {}
        self._open: list[_Pass] = []
        # Steps that follow belong to what another loader gives: those of the training, after a pass
        # over what is only evaluated. Loaders that a loop zips begin one after the other, and their
        # samplers after that.
        watched.tracer.handle(DataLoader.__iter__, self._ends, "call")
        watched.tracer.handle(DistributedSampler.__init__, self._made, "return")
        watched.tracer.handle(DistributedSampler.__iter__, self._begins, "call")

    def found(self) -> Iterator[SameOrder | Shuffled]:
        for sampler in self._all:
            passes = [
                each
                for each in sampler.passes
                if (self._registry.taken() if each.ended is None else each.ended) > each.began
            ]
            if passes and sampler.plan is not None:
                loop, told = located(passes[0].spot), tuple(each.epoch for each in passes)
                yield Shuffled(located(sampler.spot), loop, *sampler.plan, told)
            trained = Counter(each.spot for each in passes)
            epochs = {each.epoch for each in sampler.passes}
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
            known.plan = _plan(own)
            spot = self._tracer.spot(frame.f_back)
            known.passes.append(_Pass(spot, epoch, self._registry.taken()))
            self._open.append(known.passes[-1])

    def _ends(self, frame: FrameType, event: str, arg: Any) -> None:
        for each in self._open:
            each.ended = self._registry.taken()
        self._open.clear()


def _plan(own: Any) -> tuple[int, int, int, int] | None:
    total, parts, part, seed = map(own.get, ("total_size", "num_replicas", "rank", "seed"))
    if type(total) is type(parts) is type(part) is type(seed) is int:
        return total, part, parts, seed
    return None
