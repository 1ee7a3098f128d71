"""Notices frozen norm layers whose eval mode was undone by a train() of what holds them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from torch import nn

from graphlab.observe.names import Names, parameters_in, submodules
from graphlab.observe.notes import RawBackward, RawModule, Spot, located
from graphlab.observe.sightings.state.modes import NORMS
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Ref, is_module, is_tensor, requires_grad, version_of
from graphlab.source.objects import attribute, attributes, class_name, is_a
from graphlab.source.wording import call_text
from graphlab.trace.module_sightings import EvalUndone

# At how many backwards the statistics must have moved.
ENOUGH = 2


@dataclass(slots=True)
class Frozen:
    """A module that eval() was called on, at `spot`. after: the last event before. counts: how
    often each of its norm layers had run when train() put it back at `undone`; ran: at how many
    backwards since they had run again."""

    ref: Ref
    spot: Spot
    after: Any
    undone: Spot | None = None
    counts: dict[int, int] = field(default_factory=dict)
    ran: int = 0


class UndoneEvals:
    """Handles calls of Module.train(), which eval() calls as well.

    What was called between its eval() and the train() was evaluated: then the train() is meant. A
    module that is no norm layer itself must be frozen as a whole.
    """

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._known: dict[int, Frozen] = {}
        self._found: dict[tuple[Spot, Spot | None], EvalUndone] = {}
        watched.tracer.handle(nn.Module.train, self._on_train, "call")

    def found(self) -> Iterator[EvalUndone]:
        yield from self._found.values()

    def _on_train(self, frame: FrameType, event: str, arg: Any) -> None:
        code, outer = frame.f_code, frame.f_back
        if outer is None or (outer.f_code.co_name, outer.f_code.co_filename) == (
            code.co_name,
            code.co_filename,
        ):
            # It hands the mode on to its submodules.
            return
        module, mode = frame.f_locals.get("self"), frame.f_locals.get("mode")
        if not is_module(module):
            return
        spot = self._watched.tracer.spot(outer)
        if mode is False:
            events = self._watched.log.events
            if spot is not None and any(
                _counts(each) is not None for _, each in submodules(module)
            ):
                after = events[-1] if events else None
                self._known[id(module)] = Frozen(Ref(module), spot, after)
            return
        for key, each in [*self._known.items()]:
            mine = each.ref()
            if mine is None or mine is module or _holds(mine, module):
                # Put back by its own name.
                del self._known[key]
            elif each.undone is None and _holds(module, mine):
                self._undo(key, each, mine, spot)

    def _undo(self, key: int, each: Frozen, module: Any, spot: Spot | None) -> None:
        frozen = is_a(module, NORMS) or _is_frozen(module)
        if not frozen or spot is None or self._was_called(module, each.after):
            del self._known[key]
            return
        each.undone = spot
        each.counts = _all_counts(module)

    def _was_called(self, module: Any, after: Any) -> bool:
        """Whether it was called since the event `after`, or may have been."""
        for event in reversed(self._watched.log.events):
            if event is after:
                return False
            if isinstance(event, RawModule):
                ref = self._watched.log.modules.get(event.module)
                called = ref() if ref is not None else None
                if called is None or _holds(called, module) or _holds(module, called):
                    return True
        return after is not None

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        if record.is_grad:
            return
        for key, each in [*self._known.items()]:
            module = each.ref()
            if module is None:
                del self._known[key]
            elif each.undone is not None:
                now = _all_counts(module)
                moved = any(now[at] > each.counts.get(at, now[at]) for at in now)
                each.counts = now
                if not is_a(module, NORMS) and not _is_frozen(module):
                    del self._known[key]
                elif moved:
                    each.ran += 1
                    if each.ran == ENOUGH:
                        self._note(each, module, record, frame)

    def _note(self, each: Frozen, module: Any, record: RawBackward, frame: FrameType) -> None:
        key = (each.spot, each.undone)
        if key in self._found:
            return
        kinds = [class_name(one) for _, one in submodules(module) if _counts(one) is not None]
        at, back = located(each.spot), located(each.undone)
        self._found[key] = EvalUndone(
            back,
            call_text(back, "train")[0],
            at,
            call_text(at, "eval")[0],
            Names(self._watched.files).gather(frame).modules.get(id(module), class_name(module)),
            tuple(dict.fromkeys(kinds)),
            record.call,
            located(record.spot),
        )


def _holds(outer: Any, module: Any) -> bool:
    return any(each is module for _, each in submodules(outer))


def _is_frozen(module: Any) -> bool:
    parameters = parameters_in(module)
    return bool(parameters) and not any(map(requires_grad, parameters))


def _counts(module: Any) -> int | None:
    """How often a norm layer with running statistics has added to them, by the version of its
    counter: the statistics have none."""
    if not is_a(module, NORMS) or attribute(module, "running_mean") is None:
        return None
    counter = attribute(module, "num_batches_tracked")
    return version_of(counter) if is_tensor(counter) else None


def _all_counts(module: Any) -> dict[int, int]:
    """Of the norm layers in training mode in a module, by identity."""
    return {
        id(each): count
        for _, each in submodules(module)
        if (count := _counts(each)) is not None and attributes(each).get("training") is True
    }
