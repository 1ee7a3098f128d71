"""Follows each DistributedDataParallel: which parameters it averages, and which backwards it did.

DDP prepares to average in a forward through it, and does so in the backward that then reaches all
of its parameters: once.
"""

from __future__ import annotations

import weakref
from types import FrameType
from typing import Any

import torch

from graphlab.observe.names import parameters_in, submodules
from graphlab.observe.notes import RawBackward, RawModule, Spot, located
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Unnoticed, requires_grad
from graphlab.source.objects import attribute, attributes, items
from graphlab.source.wording import call_text
from graphlab.trace.ranks.sightings import Source, Unsynced


class Wrapper:
    """One instance. armed: whether the next backward averages; used_up: the backward that did it
    last, since its last forward."""

    def __init__(self, ddp: Any, spot: Spot | None) -> None:
        self.ref, self.spot = weakref.ref(ddp), spot
        self.module = attribute(ddp, "module")
        self.inner = {id(each) for _, each in submodules(self.module)} | {id(self.module)}
        held = attributes(ddp).get("_module_parameters")
        known = [each for _, each in items(held)] if held is not None else []
        known = known or [p for p in parameters_in(self.module) if requires_grad(p)]
        self.known = {id(each) for each in known}
        self.module = None
        options = attributes(ddp)
        self.waits_for_all = not (
            options.get("find_unused_parameters") or options.get("static_graph")
        )
        self.armed = self.paused = False
        self.forward: Spot | None = None
        self.forward_count = 0
        self.no_sync: Spot | None = None
        self.used_up: RawBackward | None = None


class Wrappers:
    """Handles the tracer's events of DistributedDataParallel."""

    def __init__(self, watched: Watched) -> None:
        self._tracer, self._log = watched.tracer, watched.log
        self._table = watched.table
        self.all: list[Wrapper] = []
        # Why a backward's gradients were not averaged, by its identity and the wrapper's.
        self._why: dict[tuple[int, int], Source] = {}
        kind = torch.nn.parallel.DistributedDataParallel
        watched.tracer.handle(kind.__init__, self._made)
        watched.tracer.handle(kind.forward, self._forward)

    def of(self, parameter: Any) -> Wrapper | None:
        """The wrapper whose module has this parameter, also where the wrapper does not know it."""
        for each in self.all:
            if id(parameter) in each.known:
                return each
        for each in self.all:
            ddp = each.ref()
            if ddp is not None and any(
                parameter is one for one in parameters_in(attribute(ddp, "module"))
            ):
                return each
        return None

    def source(self, record: RawBackward, parameter: Any, wrapper: Wrapper) -> Source:
        """How `record` came to write a parameter's gradient."""
        plain = Source(located(record.spot), record.call)
        if id(parameter) not in wrapper.known:
            at = located(wrapper.spot)
            return Source(plain.at, plain.call, "unknown", at, call_text(at, "DDP")[0])
        if record.is_grad:
            return Source(plain.at, plain.call, "grad", plain.at, plain.call)
        return self._why.get((id(record), id(wrapper)), plain)

    def ended(self, record: RawBackward) -> None:
        """A backward has run: it was averaged, or there is a reason why not."""
        if record.is_grad or not record.completed:
            return
        reached = {*record.reached}
        for wrapper in self.all:
            ddp = wrapper.ref()
            if ddp is None:
                continue
            module = attribute(ddp, "module")
            mine = {
                place
                for each in parameters_in(module)
                if id(each) in wrapper.known and (place := self._table.place_of(each)) is not None
            }
            if not mine & reached:
                continue
            if wrapper.armed:
                wrapper.armed, wrapper.used_up = False, record
            else:
                self._why[id(record), id(wrapper)] = self._reason(wrapper, record)

    def _reason(self, wrapper: Wrapper, record: RawBackward) -> Source:
        at = located(record.spot)
        why: Unsynced = "used-up" if wrapper.used_up is not None else "around"
        cause, by = at, record.call
        around = self._around(wrapper, record)
        if around is not None:
            why, cause = "around", located(around)
            by = call_text(cause, "the module")[0]
        elif wrapper.paused:
            why, cause = "no-sync", located(wrapper.no_sync or wrapper.forward)
            by = call_text(cause, "the forward")[0]
        return Source(at, record.call, why, cause, by)

    def _around(self, wrapper: Wrapper, record: RawBackward) -> Spot | None:
        """The last call of a module inside the wrapper by the program itself, since the wrapper's
        own last forward."""
        for raw in reversed(self._log.events):
            if isinstance(raw, RawModule) and raw.seq <= record.seq:
                if raw.module in wrapper.inner:
                    return raw.spot
                if self._log.modules.get(raw.module, _gone)() is wrapper.ref():
                    return None
        return None

    def _made(self, frame: FrameType, event: str, arg: Any) -> None:
        if event == "return":
            with Unnoticed():
                wrapper = Wrapper(frame.f_locals.get("self"), self._tracer.spot(frame.f_back))
            self.all.append(wrapper)

    def _forward(self, frame: FrameType, event: str, arg: Any) -> None:
        if event != "call" or not torch.is_grad_enabled():
            return
        ddp = frame.f_locals.get("self")
        wrapper = next((each for each in self.all if each.ref() is ddp), None)
        if wrapper is None:
            return
        wrapper.forward = self._tracer.spot(frame.f_back)
        wrapper.forward_count += 1
        wrapper.used_up = None
        wrapper.armed = attributes(ddp).get("require_backward_grad_sync") is not False
        wrapper.paused = not wrapper.armed


def _gone() -> None:
    return None
