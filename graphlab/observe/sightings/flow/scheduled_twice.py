"""Finds an optimizer that two schedulers alike change the rate of, while another one that steps has
none: one of the two was meant for that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType, FunctionType
from typing import Any

import torch

from graphlab.observe.notes import RawBackward, Spot, located
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Ref
from graphlab.source.objects import attribute, attributes, exactly, is_a
from graphlab.trace.module_sightings import ScheduledTwice

# What of a scheduler changes as it goes, or is of its optimizer.
_MOVING = {"optimizer", "base_lrs", "last_epoch"}
# How often both must have been stepped.
ENOUGH = 2


@dataclass(slots=True)
class Made:
    """A scheduler, where it was built, and how often it was stepped."""

    ref: Ref
    spot: Spot | None
    optimizer: int
    settings: tuple[Any, ...]
    count: int = 0


class ScheduledTwices:
    """Handles the calls that build and step the schedulers."""

    def __init__(self, watched: Watched) -> None:
        self._tracer, self._registry = watched.tracer, watched.ledger.registry
        self._known: dict[int, Made] = {}
        kind = torch.optim.lr_scheduler.LRScheduler
        watched.tracer.handle(kind.step, self._stepped, "return")
        watched.tracer.handle(kind.__init__, self._built, "call")
        self._spots: dict[int, tuple[Ref, Spot | None]] = {}

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing: the calls themselves are seen."""

    def _built(self, frame: FrameType, event: str, arg: Any) -> None:
        scheduler = frame.f_locals.get("self")
        self._spots[id(scheduler)] = Ref(scheduler), self._tracer.spot(frame.f_back)

    def _stepped(self, frame: FrameType, event: str, arg: Any) -> None:
        scheduler = frame.f_locals.get("self")
        known = self._known.get(id(scheduler))
        if known is not None and known.ref() is scheduler:
            known.count += 1
            return
        optimizer = attribute(scheduler, "optimizer")
        ref, spot = self._spots.get(id(scheduler), (None, None))
        if ref is None or ref() is not scheduler or not is_a(optimizer, torch.optim.Optimizer):
            return
        # The constructor steps it once itself.
        at = self._registry.state(optimizer).at
        self._known[id(scheduler)] = Made(Ref(scheduler), spot, at, _settings(scheduler))

    def found(self) -> Iterator[ScheduledTwice]:
        scheduled = {each.optimizer for each in self._known.values()}
        bare = [
            state
            for state in self._registry.states
            if state.steps >= ENOUGH and state.at not in scheduled
        ]
        made = [e for e in self._known.values() if e.count >= ENOUGH and e.settings]
        for at, each in enumerate(made):
            twins = [
                one
                for one in made[:at]
                if (one.optimizer, one.settings) == (each.optimizer, each.settings)
                and one.spot != each.spot
                and abs(one.count - each.count) <= 1
            ]
            if len(twins) == 1 and len(bare) == 1:
                place = located(each.spot)
                yield ScheduledTwice(place, each.optimizer, bare[0].at, located(twins[0].spot))


def _settings(scheduler: Any) -> tuple[Any, ...]:
    """What it was told, as far as that are numbers; () where something else was."""
    found: list[Any] = [type(scheduler)]
    for key, value in sorted(attributes(scheduler).items()):
        if key in _MOVING or key.startswith("_"):
            continue
        if not exactly(value, int, float, str, bool, type(None)):
            value = tuple(sorted(value.items())) if is_a(value, dict) else _codes(value)
        if value == ():
            return ()
        found.append((key, value))
    return tuple(found) if len(found) > 1 else ()


def _codes(value: Any) -> tuple[Any, ...]:
    """What functions of a list compute."""
    functions = value if exactly(value, list) else []
    codes = [each.__code__ for each in functions if is_a(each, FunctionType)]
    same = len(codes) == len(functions)
    return tuple((each.co_code, each.co_consts) for each in codes) if same else ()
