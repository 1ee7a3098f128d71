"""Notices a model that is evaluated in training mode, as nothing ever puts it into eval mode."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from types import FrameType
from typing import Any

from torch import nn

from graphlab.observe.names import Names, parameters_in, submodules
from graphlab.observe.notes import RawBackward, RawModule, Spot, located
from graphlab.observe.optimizers.left_out.held import name_what_libraries_hold
from graphlab.observe.sightings.state.modes import NAMED, by_mode
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Ref, Unnoticed, WeakMap, is_module, requires_grad
from graphlab.source.effects.meant.evaluating import evaluating_call
from graphlab.source.objects import attributes, class_name
from graphlab.trace.module_sightings import EvaluatedInTraining

# Among how many of the last events calls are looked for, and how many lines are looked at.
BACK, LINES = 4096, 32


class TrainingModeEvaluations:
    """Handles calls of Module.train(), which eval() calls as well, and looks through the modules
    that were called between inspected backwards.

    A call evaluates where it makes no nodes, though parameters that are trained would make some,
    and where the source calls it so: a function that validates, a loop over the test data. One
    whose result is thrown away may adapt statistics. Where the function that evaluates says train()
    itself, as for Monte Carlo estimates, the mode is meant, and so it is where the model was ever
    in eval mode."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._evaluated = WeakMap()
        self._looked: dict[Spot, str] = {}
        self._found: dict[Spot, tuple[Ref, EvaluatedInTraining]] = {}
        self._after: Any = None
        watched.tracer.handle(nn.Module.train, self._on_train, "call")

    def _on_train(self, frame: FrameType, event: str, arg: Any) -> None:
        code, outer = frame.f_code, frame.f_back
        if outer is None or outer.f_code is code:
            return
        module, mode = frame.f_locals.get("self"), frame.f_locals.get("mode")
        if not is_module(module) or mode is not False:
            return
        with Unnoticed():
            for _, each in submodules(module):
                self._evaluated.put(each, True)

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        self._look(frame)

    def found(self) -> Iterator[EvaluatedInTraining]:
        self._look(None)
        for ref, each in self._found.values():
            module = ref()
            if module is None or not self._evaluated.get(module):
                yield each

    def _look(self, frame: FrameType | None) -> None:
        log = self._watched.log
        since, self._after = self._after, log.events[-1] if log.events else None
        later: dict[int, RawModule] = {}
        names: Names | None = None
        for event in islice(reversed(log.events), BACK):
            if event is since or len(self._looked) >= LINES:
                break
            if not isinstance(event, RawModule) or event.spot is None:
                continue
            before, later[event.module] = later.get(event.module), event
            # What made no node until the next call made none itself.
            if before is None or before.seq != event.seq:
                continue
            if event.spot in self._looked:
                continue
            ref = log.modules.get(event.module)
            module = ref() if ref is not None else None
            if module is None or not self._in_training(module):
                continue
            self._looked[event.spot] = call = self._call(event.spot)
            if not call:
                continue
            if names is None:
                names = Names(self._watched.files).gather(frame)
                name_what_libraries_hold(names, frame, self._watched.files)
            self._note(event.spot, module, call, names)

    def _in_training(self, module: Any) -> bool:
        """Whether an optimizer trains it, and neither it nor a layer that the mode matters to was
        ever in eval mode."""
        places, states = self._watched.ledger.registry.places(), self._watched.ledger.registry
        steps = {at: state.steps for at, state in enumerate(states.states)}
        trained = any(
            requires_grad(each) and any(steps.get(at) for at in places.get(id(each), ()))
            for each in parameters_in(module)
        )
        return trained and bool(self._layers(module)) and self._awake(module)

    def _awake(self, module: Any) -> bool:
        return attributes(module).get("training") is True and not self._evaluated.get(module)

    def _layers(self, module: Any) -> list[Any]:
        return [each for _, each in submodules(module) if by_mode(each) and self._awake(each)]

    def _call(self, spot: Spot) -> str:
        """The call as the source has it, where it evaluates; "" elsewhere."""
        at = located(spot)
        return evaluating_call(at) if at is not None and spot[0] in self._watched.files else ""

    def _note(self, spot: Spot, module: Any, call: str, names: Names) -> None:
        kinds = dict.fromkeys(class_name(each) for each in self._layers(module))
        name = names.modules.get(id(module), "") or call.partition("(")[0]
        found = EvaluatedInTraining(located(spot), call, name, (*kinds,)[:NAMED])
        self._found[spot] = Ref(module), found
