"""Follows each DistributedDataParallel: which parameters it averages, and which backwards it did.

DDP prepares to average in a forward through it, and does so in the backward that then reaches all
of its parameters: once.
"""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import FrameType, FunctionType
from typing import Any

import torch

from graphlab.observe.names import parameters_in, submodules
from graphlab.observe.notes import RawBackward, RawModule, RawWrite, Spot, located
from graphlab.observe.sightings.ranks.exchanges import size_of
from graphlab.observe.sightings.ranks.places import (
    FLAG,
    assigned_after,
    called_from,
    guarded,
    parameter_paths,
    paused_at,
    unfrozen_after,
)
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Unnoticed, requires_grad, storage_key
from graphlab.source.objects import attribute, attributes, items, static
from graphlab.source.wording import call_text, written_by
from graphlab.trace.ranks.sightings import DDP, GradientWrite, Source, Unsynced, Wrapped
from graphlab.trace.values import Location


class Wrapper:
    """One instance, and what is known of it."""

    def __init__(self, ddp: Any, spot: Spot | None, born: Any) -> None:
        self.ref, self.spot = weakref.ref(ddp), spot
        # The last event before its parameters were sent to all ranks.
        self.born = born
        self.module = attribute(ddp, "module")
        self.inner = {id(each) for _, each in submodules(self.module)} | {id(self.module)}
        self.paths = parameter_paths(self.module)
        # A module inside that runs from one of these is called by another one inside.
        self.forwards = {
            function.__code__
            for _, each in submodules(self.module)
            if isinstance(function := static(type(each), "forward"), FunctionType)
        }
        held = attributes(ddp).get("_module_parameters")
        known = [each for _, each in items(held)] if held is not None else []
        # Those that are frozen now it will not know later.
        known = [each for each in known or parameters_in(self.module) if requires_grad(each)]
        self.known = {id(each) for each in known}
        self.module = None
        self.places: tuple[int, ...] = ()
        # The memory of each, and the call that registered a hook of the program's.
        self.storages = {id(each): storage_key(each) for each in known}
        self.hook: Spot | None = None
        # It averages among these alone.
        self.ranks = size_of(attributes(ddp).get("process_group"))
        # The last backward that reached it, and the one that used up its last forward.
        self.last: RawBackward | None = None
        self.used_up: RawBackward | None = None
        # Its parameters that the backwards since its last forward have not reached, and those that
        # the first averaged backward has reached.
        self.missing: set[int] = set()
        self.first: set[int] | None = None


class Wrappers:
    """Handles the tracer's events of DistributedDataParallel."""

    def __init__(self, watched: Watched) -> None:
        self._tracer, self._log = watched.tracer, watched.log
        self._table = watched.table
        self.all: list[Wrapper] = []
        # What is told of each, with the instance, as it is built.
        self.on_made: list[Callable[[Any, Wrapper], None]] = []
        # Why a backward's gradients were not averaged, by its identity and the wrapper's.
        self._why: dict[tuple[int, int], Source] = {}
        # The second reentrant checkpoint that uses a parameter, by the backward's identity and the
        # parameter's.
        self.twice: dict[tuple[int, int], Location] = {}
        kind = torch.nn.parallel.DistributedDataParallel
        watched.tracer.handle(kind.__init__, self._made)
        watched.tracer.handle(kind.register_comm_hook, self._hooked)

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
            path = parameter_paths(attribute(wrapper.ref(), "module")).get(id(parameter), "")
            assigned = assigned_after(wrapper.spot, path)
            if id(parameter) in wrapper.paths:
                assigned = unfrozen_after(at)
            if assigned is not None:
                code = assigned.code
                return Source(plain.at, plain.call, "unknown", assigned, code)
            return Source(plain.at, plain.call, "unknown", at, call_text(at, "DDP")[0])
        if record.is_grad:
            return Source(plain.at, plain.call, "grad", plain.at, plain.call)
        again = self.twice.get((id(record), id(parameter)))
        if again is not None:
            return Source(plain.at, plain.call, "twice", again, call_text(again, "checkpoint")[0])
        found = self._why.get((id(record), id(wrapper)), plain)
        if not found.why and storage_key(parameter) != wrapper.storages[id(parameter)]:
            return replace(plain, why="moved", cause=plain.at, cause_by=plain.call)
        if not found.why and wrapper.ranks != size_of(None):
            at = located(wrapper.spot)
            return replace(plain, why="group", cause=at, cause_by=call_text(at, "DDP")[0])
        if not found.why and wrapper.hook is not None:
            at = located(wrapper.hook)
            by = call_text(at, "register_comm_hook")[0]
            return replace(plain, why="hook", cause=at, cause_by=by)
        return found

    def found(self) -> Iterator[Wrapped]:
        for wrapper in self.all:
            if places := self.places_of(wrapper):
                yield Wrapped(located(wrapper.spot), DDP, places)

    def reached_by(self, record: RawBackward) -> bool:
        """Whether a backward reaches parameters of some wrapper."""
        reached = {*record.reached}
        return any(place in reached for each in self.all for place in self.places_of(each))

    def rewritten(
        self, parameters: list[tuple[Any, Wrapper | None]]
    ) -> Iterator[tuple[int, GradientWrite]]:
        """What wrote to each of the parameters, by its place among them, since its wrapper sent
        rank 0's to all, where it was one line and no optimizer: of several it is not known which
        of them the values are of."""
        left = {
            storage_key(each): (at, wrapper)
            for at, (each, wrapper) in enumerate(parameters)
            if wrapper is not None and id(each) in wrapper.known
        }
        found: dict[int, list[RawWrite]] = defaultdict(list)
        for raw in reversed(self._log.events):
            left = {key: each for key, each in left.items() if each[1].born is not raw}
            if not left:
                break
            if isinstance(raw, RawWrite) and raw.optimizer is None:
                for key in {each[0] for each in raw.tensors} & {*left}:
                    found[left[key][0]].append(raw)
        for at, (raw, *more) in found.items():
            if all(each.spot == raw.spot for each in more):
                place = located(raw.spot)
                yield at, GradientWrite(place, written_by(place, raw.by, raw.direct))

    def first_named(self, wrapper: Wrapper) -> tuple[int, str] | None:
        """A parameter of the wrapper's that is in the table, and its path inside of the module."""
        paths = parameter_paths(attribute(wrapper.ref(), "module"))
        for each in parameters_in(attribute(wrapper.ref(), "module")):
            if (at := self._table.place_of(each)) is not None and id(each) in paths:
                return at, paths[id(each)]
        return None

    def places_of(self, wrapper: Wrapper) -> tuple[int, ...]:
        """Of the parameters that the wrapper averages, those that are in the table; once it is
        gone, with the function that had it, those that were there last."""
        ddp = wrapper.ref()
        if ddp is not None:
            known = (
                each
                for each in parameters_in(attribute(ddp, "module"))
                if id(each) in wrapper.known
            )
            places = (self._table.place_of(each) for each in known)
            wrapper.places = tuple(each for each in places if each is not None)
        return wrapper.places

    def ended(self, record: RawBackward) -> bool:
        """A backward has run: it was averaged, or there is a reason why not. Returns whether a
        wrapper communicated in it."""
        communicated = False
        if record.is_grad:
            return False
        if not record.completed:
            # It may have been cut off as it communicated.
            alive = [(each, ddp) for each in self.all if (ddp := each.ref()) is not None]
            return any(self._calls(each, ddp, record)[0] for each, ddp in alive)
        reached = {*record.reached}
        for wrapper in self.all:
            ddp = wrapper.ref()
            if ddp is None:
                continue
            mine = {*self.places_of(wrapper)}
            if not mine & reached:
                continue
            through, around = self._calls(wrapper, ddp, record)
            paused = attributes(ddp).get(FLAG) is False
            if through and not paused and around is None:
                wrapper.used_up, communicated = record, True
                wrapper.first = mine & reached if wrapper.first is None else wrapper.first
                static = attributes(ddp).get("static_graph") is True
                wrapper.missing = (wrapper.first if static else mine) - reached
            else:
                wrapper.missing -= reached
                reason = self._reason(wrapper, record, paused, through, around)
                self._why[id(record), id(wrapper)] = reason
                wrapper.used_up = wrapper.used_up if not through else None
            wrapper.last = record
        return communicated

    def _calls(self, wrapper: Wrapper, ddp: Any, record: RawBackward) -> tuple[bool, Spot | None]:
        """Whether the program called the wrapper since the last backward that reached it, and
        where it called, since then, a module inside it by itself."""
        own, module, around = id(ddp), id(attribute(ddp, "module")), None
        inner: Spot | None = None
        deep: Spot | None = None
        for raw in reversed(self._log.events):
            if raw is wrapper.last:
                break
            if isinstance(raw, RawModule):
                if raw.module == own:
                    return True, around
                if raw.module == module:
                    around = around or raw.spot
                elif raw.module in wrapper.inner and raw.spot is not None:
                    # The wrapped module's own forward, maybe.
                    deep = deep or raw.spot
                    inner = inner or (None if raw.spot[0] in wrapper.forwards else raw.spot)
        return False, around or inner or deep

    @staticmethod
    def _reason(
        wrapper: Wrapper, record: RawBackward, paused: bool, through: bool, around: Spot | None
    ) -> Source:
        at = located(record.spot)
        why: Unsynced = ""
        cause, by = at, record.call
        if around is not None and not through:
            why, cause = "around", called_from(around, attribute(wrapper.ref(), "module"))
            by = call_text(cause, "the module")[0]
        elif paused:
            why = "no-sync"
            cause, by = guarded(at) or paused_at(at) or (at, by)
        elif wrapper.used_up is not None and not through:
            why = "used-up"
        before = located(wrapper.used_up.spot) if why == "used-up" and wrapper.used_up else None
        return Source(at, record.call, why, cause, by, before)

    def _hooked(self, frame: FrameType, event: str, arg: Any) -> None:
        ddp = frame.f_locals.get("self")
        for each in self.all if event == "return" else ():
            if each.ref() is ddp:
                each.hook = self._tracer.spot(frame.f_back)

    def _made(self, frame: FrameType, event: str, arg: Any) -> None:
        if event == "return":
            ddp = frame.f_locals.get("self")
            with Unnoticed():
                born = self._log.events[-1] if self._log.events else None
                wrapper = Wrapper(ddp, self._tracer.spot(frame.f_back), born)
                self.all.append(wrapper)
                for each in self.on_made:
                    each(ddp, wrapper)
