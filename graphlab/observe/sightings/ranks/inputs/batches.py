"""Checksums of what the forwards of wrapped models are given."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch

from graphlab.observe.distributed.checksums import checksum
from graphlab.observe.notes import Spot, located
from graphlab.observe.sightings.ranks.exchanges import size_of
from graphlab.observe.sightings.ranks.wrappers import Wrapper, Wrappers
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import count_of, is_tensor
from graphlab.source.objects import attributes, items
from graphlab.trace.ranks.inputs import Forwards

# Of one call, the first forwards are compared, and then those numbered 8, 16, 32 and so on.
FIRST, KEPT = 4, 12
# So few numbers may well be the same.
FEW = 4
# So deep in lists and dictionaries.
DEPTH = 3


class _Call:
    """One line that calls a wrapper, `name` as the program names it."""

    def __init__(self) -> None:
        self.count = 0
        self.given: dict[int, str] = {}
        self.random: list[str] = []
        self.loaders: set[Spot | None] = set()


class Batches:
    """Handles the wrappers' forwards, and where loaders are made and begin."""

    def __init__(self, watched: Watched, wrappers: Wrappers) -> None:
        self._tracer, self._table = watched.tracer, watched.table
        self._wrappers = wrappers
        self._calls: dict[tuple[int, Spot | None], _Call] = {}
        self._made: dict[int, Spot | None] = {}
        self._under_way: Spot | None = None
        watched.tracer.handle(
            torch.nn.parallel.DistributedDataParallel.forward, self._forward, "call"
        )
        loader = torch.utils.data.DataLoader
        watched.tracer.handle(loader.__init__, self._loader, "return")
        watched.tracer.handle(loader.__iter__, self._begins, "call")

    def found(self) -> Iterator[Forwards]:
        for (own, spot), call in self._calls.items():
            loader = next(iter(call.loaders)) if len(call.loaders) == 1 else None
            yield Forwards(
                located(spot), self._table.module_name(own), tuple(call.given.items()),
                located(loader), tuple(call.random),
            )  # fmt: skip

    def _loader(self, frame: FrameType, event: str, arg: Any) -> None:
        self._made[id(frame.f_locals.get("self"))] = self._tracer.spot(frame.f_back)

    def _begins(self, frame: FrameType, event: str, arg: Any) -> None:
        self._under_way = self._made.get(id(frame.f_locals.get("self")))

    def _forward(self, frame: FrameType, event: str, arg: Any) -> None:
        ddp = frame.f_locals.get("self")
        wrapper = self._of(ddp)
        if wrapper is None or not torch.is_grad_enabled() or wrapper.ranks != size_of(None):
            return
        if attributes(ddp).get("training") is not True:
            return
        call = self._calls.setdefault((id(ddp), self._tracer.spot(frame.f_back)), _Call())
        number, call.count = call.count, call.count + 1
        if number >= FIRST and (number & (number - 1) or len(call.given) >= KEPT):
            return
        given = [
            tensor
            for name in ("inputs", "kwargs")
            for tensor in _tensors(frame.f_locals.get(name), DEPTH)
        ]
        if sum(map(count_of, given)) > FEW:
            call.given[number] = " ".join(map(checksum, given))
            call.random.append(_generator())
            call.loaders.add(self._under_way)

    def _of(self, ddp: Any) -> Wrapper | None:
        return next((each for each in self._wrappers.all if each.ref() is ddp), None)


def _generator() -> str:
    """A checksum of where the program's random numbers are."""
    state = torch.get_rng_state().numpy().tobytes()
    return hashlib.blake2b(state, digest_size=6).hexdigest()


def _tensors(value: Any, depth: int) -> Iterator[Any]:
    if is_tensor(value):
        yield value
    elif depth:
        for _, each in items(value):
            yield from _tensors(each, depth - 1)
