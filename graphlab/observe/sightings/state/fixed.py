"""Notices a network that nothing trains and that runs in training mode, as a teacher does that was
never put into eval mode."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from types import FrameType
from typing import Any

from graphlab.observe.graph.walk import leaf_of
from graphlab.observe.names import Names, parameters_in, submodules
from graphlab.observe.notes import RawBackward, RawModule, Spot, located
from graphlab.observe.optimizers.vectors import Sample
from graphlab.observe.sightings.state.modes import DROPOUTS, NORMS
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Ref, is_tensor, shape_of, version_of
from graphlab.source.objects import attribute, attributes, class_name, is_a
from graphlab.trace.module_sightings import FixedInTraining

# At how many inspected backwards all of it must have been so, how many modules are looked at, and
# among how many of the last events.
ENOUGH, MOST, BACK = 4, 64, 4096


@dataclass(slots=True)
class Fixed:
    """A module that nothing has trained since it was first seen. weights: values of all its
    parameters then. steps: how many the optimizers had taken; count: how often its norm layers had
    run. seen: at how many backwards since they had run again with steps between; calls: the most
    calls before one of them. spot: where it was called last."""

    ref: Ref
    weights: list[Sample]
    steps: int
    count: int
    seen: int = 0
    calls: int = 0
    spot: Spot | None = None
    name: str = ""


class FixedNetworks:
    """Looks, at inspected backwards, at the modules that the program has called itself.

    Left alone is what an optimizer holds, what changes at last, a part of another module, which may
    be frozen and still adapt its statistics, and a copy of a network that is trained: a moving
    average may follow it in training mode. A network without norm layers that is called several
    times in a turn may be sampled from."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._known: dict[int, Fixed] = {}
        self._after: Any = None

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        events = self._watched.log.events
        since, self._after = self._after, events[-1] if events else None
        if record.is_grad:
            return
        called = self._called(since)
        if len(called) > MOST or len(called) < 2:
            return
        reached = {id(leaf) for node in nodes if (leaf := leaf_of(node)) is not None}
        steps = sum(each.steps for each in self._watched.ledger.registry.states)
        for key, (module, spot, calls) in called.items():
            if not _layers(module):
                self._known.pop(key, None)
                continue
            known, weights = self._known.get(key), parameters_in(module)
            if known is None or known.ref() is not module:
                if not weights or self._is_left_alone(module, called, reached):
                    continue
                self._known[key] = Fixed(Ref(module), [*map(Sample, weights)], steps, _ran(module))
                continue
            if not reached.isdisjoint(map(id, weights)):
                del self._known[key]
                continue
            known.seen += steps > known.steps
            known.steps, known.spot = steps, spot
            known.calls = max(known.calls, calls)
            if known.seen == ENOUGH:
                names = Names(self._watched.files).gather(frame)
                # What holds it may be called by methods of its own alone.
                if not any(_holds(each, module) for each in names.held_modules()):
                    known.name = names.modules.get(key, "")

    def _called(self, since: Any) -> dict[int, tuple[Any, Spot | None, int]]:
        """The modules called since then, each with the place of its last call and their number."""
        found: dict[int, tuple[Any, Spot | None, int]] = {}
        log = self._watched.log
        for event in islice(reversed(log.events), BACK):
            if event is since:
                break
            ref = log.modules.get(event.module) if isinstance(event, RawModule) else None
            module = ref() if ref is not None else None
            if module is not None:
                _, spot, calls = found.get(id(module), (None, event.spot, 0))
                found[id(module)] = module, spot, calls + 1
        return found

    def _is_left_alone(
        self, module: Any, called: dict[int, tuple[Any, Spot | None, int]], reached: set[int]
    ) -> bool:
        mine, shapes = parameters_in(module), [*map(shape_of, parameters_in(module))]
        # One that trained it before, and is gone by now, does not count.
        owned = self._watched.ledger.registry.places()
        if any(id(each) in owned or id(each) in reached for each in mine):
            return True
        alive = [ref() for ref in [*self._watched.log.modules.values()]]
        return any(
            each is not None
            and each is not module
            and (_holds(each, module) or [*map(shape_of, parameters_in(each))] == shapes)
            for each in [*alive, *(one for one, _, _ in called.values())]
        )

    def found(self) -> Iterator[FixedInTraining]:
        owned = self._watched.ledger.registry.places()
        for each in self._known.values():
            module = each.ref()
            if module is None or each.seen < ENOUGH or not each.name:
                continue
            weights, layers = parameters_in(module), _layers(module)
            ran = _ran(module) > each.count
            if not layers or not (ran or each.calls == 1):
                continue
            if any(id(one) in owned for one in weights) or len(weights) != len(each.weights):
                continue
            if all(was.same(now) for was, now in zip(each.weights, weights, strict=True)):
                kinds = [one for one in layers if is_a(one, NORMS)] if ran else layers
                names = tuple(dict.fromkeys(map(class_name, kinds)))
                yield FixedInTraining(located(each.spot), each.name, names, ran)


def _holds(outer: Any, module: Any) -> bool:
    return outer is not module and any(each is module for _, each in submodules(outer))


def _layers(module: Any) -> list[Any]:
    """Its layers in training mode that are not the same in evaluation."""
    return [
        each
        for _, each in submodules(module)
        if attributes(each).get("training") is True
        if (is_a(each, DROPOUTS) and attribute(each, "p") != 0)
        or (is_a(each, NORMS) and is_tensor(attribute(each, "num_batches_tracked")))
    ]


def _ran(module: Any) -> int:
    """How often its norm layers have added to their statistics, by their counters' versions."""
    norms = (each for _, each in submodules(module) if is_a(each, NORMS))
    counters = (attribute(each, "num_batches_tracked") for each in norms)
    return sum(version_of(each) for each in counters if is_tensor(each))
