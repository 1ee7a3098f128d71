"""Notices modules that a library's call gave in eval mode, and that are trained in it.

``from_pretrained()`` calls eval() on what it has made. Where the loop does not say train(), as
Lightning's does not since its release 2.2, no dropout drops anything in all of the training.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from torch import nn

from graphlab.observe.names import Names, parameters_in, submodules
from graphlab.observe.notes import RawBackward, Spot, located
from graphlab.observe.sightings.state.modes import by_mode
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Ref, Unnoticed, is_module, requires_grad
from graphlab.source.files import user_frame
from graphlab.source.objects import attributes, class_module, class_name
from graphlab.trace.module_sightings import LeftInEval

# How many such modules are looked at, and at how many backwards, with steps, it must be trained.
MOST, ENOUGH = 16, 3
# How many kinds of layers are named.
NAMED = 3


@dataclass(slots=True)
class Given:
    """A module that a library has made and put into eval mode in the call at `spot`. seen: at how
    many backwards it was being trained; found: what there is to say then."""

    ref: Ref
    spot: Spot
    seen: int = 0
    found: LeftInEval | None = None


class GivenInEval:
    """Handles calls of Module.train(), which eval() calls as well."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._given: dict[int, Given] = {}
        watched.tracer.handle(nn.Module.train, self._on_train, "call")

    def found(self) -> Iterator[LeftInEval]:
        told = [each for each in self._given.values() if each.found is not None]
        for each in told:
            # Of modules within each other, the outermost.
            module = each.ref()
            outer = (one.ref() for one in told if one is not each)
            if each.found is not None and not any(_holds(one, module) for one in outer):
                yield each.found

    def _on_train(self, frame: FrameType, event: str, arg: Any) -> None:
        module, mode = frame.f_locals.get("self"), frame.f_locals.get("mode")
        if not is_module(module):
            return
        if mode is not False:
            self._let_go(module)
            return
        outer = frame.f_back
        caller = outer.f_back if outer is not None and outer.f_code.co_name == "eval" else outer
        if caller is None or caller.f_code is frame.f_code:
            # It hands the mode on to its submodules.
            return
        if caller.f_code in self._watched.files:
            # The program says so itself.
            self._let_go(module)
            return
        if attributes(module).get("training") is not True or len(self._given) >= MOST:
            return
        spot = self._watched.tracer.spot(caller)
        layers = [each for _, each in submodules(module) if _in_torch(each)]
        if spot is not None and layers and not self._known(module, caller):
            self._given[id(module)] = Given(Ref(module), spot)

    def _let_go(self, module: Any) -> None:
        for key, each in [*self._given.items()]:
            mine = each.ref()
            if mine is None or _holds(module, mine) or _holds(mine, module):
                del self._given[key]

    def _known(self, module: Any, caller: FrameType) -> bool:
        """Whether the program has had it before, so that the call does not make it."""
        called = [ref() for ref in self._watched.log.modules.values()]
        if any(each is module for each in called):
            return True
        with Unnoticed():
            user = user_frame(caller, self._watched.files)
            return id(module) in Names(self._watched.files).gather(user).modules

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        if record.is_grad or not self._given:
            return
        registry = self._watched.ledger.registry
        places = registry.places()
        for key, each in [*self._given.items()]:
            module = each.ref()
            if module is None or attributes(module).get("training") is not False:
                del self._given[key]
                continue
            held = {
                at
                for p in parameters_in(module)
                if requires_grad(p)
                for at in places.get(id(p), ())
            }
            if each.found is None and any(registry.states[at].fed for at in held):
                each.seen += 1
                if each.seen >= ENOUGH:
                    each.found = self._sighting(module, each, record, frame)

    def _sighting(
        self, module: Any, each: Given, record: RawBackward, frame: FrameType
    ) -> LeftInEval:
        names = Names(self._watched.files).gather(frame)
        kinds = [class_name(one) for _, one in submodules(module) if _in_torch(one)]
        return LeftInEval(
            located(each.spot),
            names.modules.get(id(module), class_name(module)),
            tuple(dict.fromkeys(kinds))[:NAMED],
            record.call,
            located(record.spot),
            mixed=True,
            first=True,
            given=True,
        )


def _holds(outer: Any, module: Any) -> bool:
    return outer is not None and any(each is module for _, each in submodules(outer))


def _in_torch(module: Any) -> bool:
    """Whether the mode changes what a layer of torch's does: one of another's may read it and do
    the same in both."""
    return class_module(module).startswith("torch.") and by_mode(module)
