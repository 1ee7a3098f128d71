"""Which modules of wrapped models were in training, at the same forwards on every rank."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch
from torch import nn

from graphlab.observe.names import submodules
from graphlab.observe.notes import Spot, located
from graphlab.observe.sightings.ranks.wrappers import Wrapper, Wrappers
from graphlab.observe.sightings.watched import Watched
from graphlab.source.objects import attribute, attributes
from graphlab.source.wording import call_text
from graphlab.trace.ranks.inputs import Modes

# So many modules of a wrapper are looked at, at about four forwards in each doubling of their
# number, and so many of these are kept.
MODULES, KEPT = 1_024, 64
# So many calls of eval() are remembered.
CALLS = 64
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, nn.InstanceNorm1d,
          nn.InstanceNorm2d, nn.InstanceNorm3d)  # fmt: skip
_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout,
             nn.FeatureAlphaDropout)  # fmt: skip


class _Seen:
    def __init__(self, ddp: Any, wrapper: Wrapper, spot: Spot | None) -> None:
        self.ref, self.wrapper, self.spot = weakref.ref(ddp), wrapper, spot
        self.count = 0
        self.paths: tuple[str, ...] = ()
        self.modes: dict[int, str] = {}
        # The call that put one of them into evaluation before the last look.
        self.put: tuple[Spot | None, str] | None = None


class TrainingModes:
    """Handles the wrappers' forwards, and what puts modules into evaluation."""

    def __init__(self, watched: Watched, wrappers: Wrappers) -> None:
        self._tracer, self._table, self._wrappers = watched.tracer, watched.table, wrappers
        self._seen: dict[int, _Seen] = {}
        self._evaluated: dict[int, Spot | None] = {}
        watched.tracer.handle(nn.parallel.DistributedDataParallel.forward, self._forward, "call")
        watched.tracer.handle(nn.Module.eval, self._evaluates, "call")

    def found(self) -> Iterator[Modes]:
        for own, each in self._seen.items():
            at, by = (None, "") if each.put is None else (located(each.put[0]), each.put[1])
            if each.modes:
                yield Modes(
                    located(each.spot), self._table.module_name(own), each.paths,
                    tuple(each.modes.items()), at, by,
                )  # fmt: skip

    def _forward(self, frame: FrameType, event: str, arg: Any) -> None:
        if not torch.is_grad_enabled():
            return
        ddp = frame.f_locals.get("self")
        seen = self._seen.get(id(ddp))
        if seen is None or seen.ref() is not ddp:
            wrapper = next((each for each in self._wrappers.all if each.ref() is ddp), None)
            if wrapper is None:
                return
            seen = self._seen[id(ddp)] = _Seen(ddp, wrapper, self._tracer.spot(frame.f_back))
        number, seen.count = seen.count, seen.count + 1
        if number & ((1 << max(number.bit_length() - 3, 0)) - 1) or len(seen.modes) >= KEPT:
            return
        moody = _moody(ddp)
        flags = [attributes(module).get("training") is True for _, module in moody]
        seen.paths = seen.paths or tuple(path for path, _ in moody)
        if flags and len(flags) == len(seen.paths):
            seen.modes[number] = "".join("t" if each else "e" for each in flags)
        if not all(flags):
            around = (ddp, attribute(ddp, "module"), *(module for _, module in moody))
            spots = [self._evaluated[id(each)] for each in around if id(each) in self._evaluated]
            if spots:
                seen.put = spots[0], call_text(located(spots[0]), "eval")[0]

    def _evaluates(self, frame: FrameType, event: str, arg: Any) -> None:
        module = frame.f_locals.get("self")
        if module is not None and (len(self._evaluated) < CALLS or id(module) in self._evaluated):
            self._evaluated[id(module)] = self._tracer.spot(frame.f_back)


def _moody(ddp: Any) -> list[tuple[str, Any]]:
    """The modules inside that compute otherwise in evaluation, with their paths."""
    found: list[tuple[str, Any]] = []
    for path, each in submodules(attribute(ddp, "module")):
        if len(found) < MODULES and _is_moody(each):
            found.append((path, each))
    return found


def _is_moody(module: Any) -> bool:
    held = attributes(module)
    kinds = type(module).__mro__
    if any(each in kinds for each in _NORMS):
        return held.get("track_running_stats") is True
    if any(each in kinds for each in _DROPOUTS):
        return held.get("p") != 0
    return (nn.RNNBase in kinds or nn.MultiheadAttention in kinds) and held.get("dropout") != 0
