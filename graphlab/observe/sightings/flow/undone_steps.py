"""Finds parameters whose forward writes over what each step has made of them: they have the same
values at every step, and nothing is trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from types import FrameType
from typing import Any

from graphlab.observe.notes import RawBackward, RawWrite, Spot, located
from graphlab.observe.optimizers.registry import OptimizerState
from graphlab.observe.optimizers.vectors import Sample
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Ref, Unnoticed, grad_of, storage_key
from graphlab.trace.module_sightings import StepUndone

# At how many steps it must have been so, how many parameters of an optimizer are looked at, and
# among how many of the last events the write is searched for.
ENOUGH, MOST, BACK = 3, 64, 4096


@dataclass(slots=True)
class Held:
    """A parameter, its values before a step, and at how many steps they were the same again, which
    the step before had changed."""

    ref: Ref
    before: Sample
    moved: bool = False
    seen: int = 0


class UndoneSteps:
    """Compares, at the first steps of each optimizer, values before a step with those before the
    last one. What differs once is left alone."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        # By an optimizer's place; empty once all of its parameters are known to change.
        self._known: dict[int, dict[int, Held]] = {}
        self._found: dict[int, StepUndone] = {}
        watched.ledger.on_step.append(self._on_step)
        watched.ledger.on_stepped.append(self._on_stepped)

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing: the steps themselves are seen."""

    def found(self) -> Iterator[StepUndone]:
        yield from self._found.values()

    def _on_step(self, state: OptimizerState, parameters: list[Any], spot: Spot | None) -> bool:
        known = self._known.get(state.at)
        if known is None:
            with Unnoticed():
                fed = [each for each in parameters if grad_of(each) is not None][:MOST]
                if fed:
                    self._known[state.at] = {id(e): Held(Ref(e), Sample(e)) for e in fed}
            return False
        with Unnoticed():
            for key, each in [*known.items()]:
                tensor = each.ref()
                if tensor is None or not each.moved or not each.before.same(tensor):
                    del known[key]
                    continue
                each.moved = False
                each.seen += 1
            if known and next(iter(known.values())).seen == ENOUGH:
                self._note(state, [each.ref() for each in known.values()])
        return not self._known[state.at]

    def _on_stepped(self, state: OptimizerState, parameters: list[Any], spot: Spot | None) -> bool:
        known = self._known.get(state.at)
        if not known:
            return known is not None
        with Unnoticed():
            for key, each in [*known.items()]:
                tensor = each.ref()
                each.moved = tensor is not None and not each.before.same(tensor)
                if not each.moved:
                    del known[key]
        return not known

    def _note(self, state: OptimizerState, tensors: list[Any]) -> None:
        """Where a forward has written to them since the last step."""
        self._known[state.at] = {}
        keys = {key: each for each in tensors if (key := storage_key(each)) is not None}
        readers = {id(each): each for each in tensors}
        spots: dict[Spot, list[Any]] = {}
        written: set[int] = set()
        for event in islice(reversed(self._watched.log.events), BACK):
            if not isinstance(event, RawWrite):
                continue
            if event.optimizer is not None:
                break
            reader = readers.get(event.before.reader) if event.before is not None else None
            of = [reader] if reader is not None else []
            of += [keys[one[0]] for one in event.tensors if one[0] in keys]
            for each in of:
                if id(each) not in written and event.spot is not None:
                    written.add(id(each))
                    if event.spot[0].co_name == "forward":
                        spots.setdefault(event.spot, []).append(each)
        place_of = self._watched.ledger.registry.place_of
        for spot, of in spots.items():
            places = tuple(sorted(place_of(each, None) for each in of))
            self._found[len(self._found)] = StepUndone(located(spot), places, state.at)
