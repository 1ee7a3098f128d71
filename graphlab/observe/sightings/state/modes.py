"""Notices modules that are evaluated in the middle of a training, and trained on in eval mode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

import torch
from torch import nn

from graphlab.observe.lineage.grad_mode import runs_below
from graphlab.observe.names import Names, parameters_in, submodules
from graphlab.observe.notes import RawBackward, RawModule, Spot, located
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Ref, WeakMap, is_module, requires_grad
from graphlab.source.objects import (
    attribute,
    attributes,
    class_module,
    class_name,
    is_a,
    static,
)
from graphlab.source.wording import call_text
from graphlab.trace.module_sightings import LeftInEval

# How many backwards in training mode tell how often a module is called before one.
ROUNDS = 8
# How many kinds of layers are named.
NAMED = 3
# How many methods of a class are read for what they ask of the mode.
METHODS = 16
# What switches gradients off, as a function that evaluates says it.
SWITCHES = frozenset({"no_grad", "inference_mode", "set_grad_enabled"})
# What is not the same in training and in evaluation.
DROPOUTS = (
    nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout,
)  # fmt: skip
NORMS = (
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm,
    nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d,
)  # fmt: skip


@dataclass(slots=True)
class Evaluation:
    """A module that was put into eval mode at `spot`. trained: the lines of the backwards that had
    run while it was in training mode; empty where there was none yet. mixed: some of its layers
    were in eval mode all along. after: the last event before; steps: how many each optimizer had
    made; ran: how many backwards of such a line came since. first: the first of them, and what
    there is to say if it raised. apart: a function of its own evaluates, without gradients, and
    `by_library`: it is a library's, whose calls of the module are not noted."""

    ref: Ref
    spot: Spot | None
    trained: frozenset[Spot]
    after: Any
    steps: dict[int, int]
    mixed: bool
    apart: bool
    by_library: bool = False
    ran: int = 0
    early: bool = False
    first: tuple[RawBackward, LeftInEval] | None = None


class Modes:
    """Handles calls of Module.train(), which eval() calls as well, and of backward().

    A module counts as evaluated if it was called without a graph after its eval(), or more often
    before the next backward than before any in training mode. If backwards of
    a line that had trained it in training mode then go on, with steps between, train() was
    forgotten. Fine-tuning in eval mode does not look like that.

    An evaluation may come before all training, to have a number to compare with. It counts where a
    function of the user's own puts the module into eval mode, runs it without gradients and has
    returned when training begins: a script that says eval() beside its loop may mean it.
    """

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        # The modules that the program put into training mode, and the count of nodes by then.
        self._trains = WeakMap()
        self._open: dict[int, Evaluation] = {}
        self._found: dict[int, LeftInEval] = {}
        watched.tracer.handle(nn.Module.train, self._on_train, "call")
        watched.tracer.handle(torch.autograd.backward, self._on_backward, "call")

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing: all backwards count, not only those that are inspected."""

    def found(self) -> Iterable[LeftInEval]:
        yield from self._found.values()
        for each in self._open.values():
            # Hooks that were placed in training mode, say, find nothing in eval mode.
            if each.first is not None and each.first[0].raised_type is not None:
                yield replace(each.first[1], raised=True)

    def _on_train(self, frame: FrameType, event: str, arg: Any) -> None:
        code, outer = frame.f_code, frame.f_back
        if outer is None:
            return
        caller: FrameType | None = outer
        while caller is not None and caller.f_code.co_name in ("train", "eval"):
            if caller.f_code is code:
                # It hands the mode on to its submodules.
                return
            # A library's modules may have a train() of their own around it.
            caller = caller.f_back if caller.f_code not in self._watched.files else None
        module, mode = frame.f_locals.get("self"), frame.f_locals.get("mode")
        if not is_module(module):
            return
        if mode is False:
            self._evaluated(module, self._watched.tracer.spot(outer), caller)
            return
        self._trains.put(module, self._watched.tracer.seq())
        if self._open:
            for _, each in submodules(module):
                self._open.pop(id(each), None)

    def _evaluated(self, module: Any, spot: Spot | None, caller: FrameType | None) -> None:
        key = id(module)
        if (
            key in self._open
            or key in self._found
            or attributes(module).get("training") is not True
        ):
            return
        trained = self._lines_since(max(self._put_into_training(module), default=-1))
        apart = spot is not None and caller is not None and _evaluates(caller, spot)
        if not trained and not apart:
            return
        layers = [each for _, each in submodules(module) if by_mode(each)]
        if not layers:
            return
        events = self._watched.log.events
        states = self._watched.ledger.registry.alive
        library = caller is not None and caller.f_code not in self._watched.files
        self._open[key] = Evaluation(
            Ref(module),
            spot,
            trained,
            events[-1] if events else None,
            {state.at: state.steps for state in states},
            any(attributes(each).get("training") is False for each in layers),
            apart,
            library and caller is not None and _without_gradients(caller),
            early=not trained,
        )

    def _put_into_training(self, module: Any) -> Iterator[int]:
        for outer in self._trains.alive():
            if _holds(outer, module):
                yield self._trains.get(outer)

    def _lines_since(self, seq: int) -> frozenset[Spot]:
        """The lines of the last backwards, as far back as the node `seq`."""
        found: set[Spot] = set()
        for event in reversed(self._watched.log.events):
            if isinstance(event, RawBackward):
                if event.seq <= seq:
                    break
                if event.spot is not None:
                    found.add(event.spot)
        return frozenset(found)

    def _on_backward(self, frame: FrameType, event: str, arg: Any) -> None:
        if not self._open:
            return
        # It was noted first, by backward_calls.py.
        events = reversed(self._watched.log.events)
        record = next((each for each in events if isinstance(each, RawBackward)), None)
        spot = record.spot if record is not None else None
        if record is None or spot is None:
            return
        for key, each in [*self._open.items()]:
            module = each.ref()
            if module is None or attributes(module).get("training") is not False:
                del self._open[key]
                continue
            if not each.trained:
                if _runs(frame, each.spot):
                    del self._open[key]
                    continue
                # What trains it first is what goes on doing so.
                each.trained = frozenset({spot})
            if spot in each.trained:
                each.ran += 1
                if each.ran == 1 and not self._was_evaluated(module, each):
                    del self._open[key]
                elif each.ran == 1:
                    if not self._is_part(module):
                        each.first = record, self._sighting(module, each, spot, frame)
                else:
                    del self._open[key]
                    if self._stepped(module, each) and not self._is_part(module):
                        self._found[key] = self._sighting(module, each, spot, frame)

    def _was_evaluated(self, module: Any, evaluation: Evaluation) -> bool:
        if evaluation.by_library:
            return True
        if _calls_itself(module) and (evaluation.apart or runs_below(located(evaluation.spot))):
            return True
        return (
            self._was_called_without_graph(module, evaluation)
            or self._was_called_more_often(module, evaluation)
            or (evaluation.apart and self._part_ran_without_graph(module, evaluation))
        )

    def _part_ran_without_graph(self, module: Any, evaluation: Evaluation) -> bool:
        """Whether the function that says eval() itself called a part of it, such as a decoder, and
        no node was made by the next call of something else."""
        spot, later = evaluation.spot, None
        for event in reversed(self._watched.log.events):
            if event is evaluation.after or spot is None:
                return False
            if not isinstance(event, RawModule):
                continue
            called = self._called(event.module)
            if (
                called is not None
                and later is not None
                and event.spot is not None
                and event.spot[0] is spot[0]
                and later.seq == event.seq
                and _holds(module, called)
                and not _holds(called, self._called(later.module))
                and any(map(requires_grad, parameters_in(called)))
            ):
                return True
            later = event
        return False

    def _was_called_more_often(self, module: Any, evaluation: Evaluation) -> bool:
        """Whether it, or what holds it, was called more often since than before any of the
        backwards that trained it: an evaluation need not switch gradients off."""
        since, now, rounds = Counter(), Counter(), []
        met, backwards = False, 0
        for event in reversed(self._watched.log.events):
            if event is evaluation.after:
                since, now, met = now, Counter(), True
            if isinstance(event, RawModule):
                now[event.module] += 1
            elif isinstance(event, RawBackward) and not met:
                backwards += 1
                if backwards > 1:
                    # There was another since, as that of an attack.
                    return False
            elif isinstance(event, RawBackward) and event.spot in evaluation.trained:
                rounds.append(now)
                now = Counter()
                if len(rounds) > ROUNDS:
                    break
        # The first has what came after the last backward.
        usual = rounds[1:]
        return len(usual) >= 2 and any(
            (most := max(each[key] for each in usual)) and count > most
            for key, count in since.items()
            if (called := self._called(key)) is not None and _holds(called, module)
        )

    def _called(self, key: int) -> Any:
        ref = self._watched.log.modules.get(key)
        return ref() if ref is not None else None

    def _was_called_without_graph(self, module: Any, evaluation: Evaluation) -> bool:
        """Whether two calls of it, or of what holds it, have the same count of nodes before them:
        the parameters of the first would have made some."""
        counts: dict[int, int] = {}
        for event in reversed(self._watched.log.events):
            if event is evaluation.after:
                return False
            if not isinstance(event, RawModule):
                continue
            called = self._called(event.module)
            if called is None or not _holds(called, module):
                continue
            if counts.get(event.module) == event.seq:
                return True
            counts[event.module] = event.seq
        return False

    def _stepped(self, module: Any, evaluation: Evaluation) -> bool:
        """Whether an optimizer of its parameters has stepped since."""
        registry = self._watched.ledger.registry
        places, mine = registry.places(), parameters_in(module)
        holders = {at for each in mine for at in places.get(id(each), ())}
        return any(registry.states[at].steps > evaluation.steps.get(at, 0) for at in holders)

    def _is_part(self, module: Any) -> bool:
        """Whether a module that holds it is in training mode: then it is frozen on purpose."""
        outer = [ref() for ref in [*self._watched.log.modules.values()]]
        return any(
            each is not module and attributes(each).get("training") is True and _holds(each, module)
            for each in outer
            if each is not None
        )

    def _sighting(
        self, module: Any, evaluation: Evaluation, spot: Spot, frame: FrameType
    ) -> LeftInEval:
        names = Names(self._watched.files).gather(frame)
        kinds = [class_name(each) for _, each in submodules(module) if by_mode(each)]
        at = located(spot)
        return LeftInEval(
            located(evaluation.spot),
            names.modules.get(id(module), class_name(module)),
            tuple(dict.fromkeys(kinds))[:NAMED],
            call_text(at, "backward")[0],
            at,
            evaluation.mixed,
            first=evaluation.early,
        )


def _evaluates(caller: FrameType, spot: Spot) -> bool:
    """Whether a function of the user's own says eval() itself, and runs without gradients."""
    code = caller.f_code
    if code is not spot[0] or code.co_name == "<module>":
        return False
    return _without_gradients(caller)


def _without_gradients(caller: FrameType) -> bool:
    return not torch.is_grad_enabled() or not SWITCHES.isdisjoint(caller.f_code.co_names)


def _runs(frame: FrameType, spot: Spot | None) -> bool:
    outer: FrameType | None = frame
    while outer is not None:
        if spot is not None and outer.f_code is spot[0]:
            return True
        outer = outer.f_back
    return False


def _calls_itself(module: Any) -> bool:
    """Whether its class has a __call__ of its own: calls of it need not be seen."""
    return static(type(module), "__call__") is not static(nn.Module, "__call__")


def _holds(outer: Any, module: Any) -> bool:
    return any(each is module for _, each in submodules(outer))


def by_mode(module: Any) -> bool:
    """Whether a module itself does something else in training than in evaluation."""
    if is_a(module, DROPOUTS):
        return attribute(module, "p") != 0
    if is_a(module, NORMS):
        return attribute(module, "running_mean") is not None
    if is_a(module, (nn.RNNBase, nn.MultiheadAttention)):
        return attribute(module, "dropout") != 0
    if class_module(module).startswith("torch."):
        return False
    return _asks_for_mode(type(module))


def _asks_for_mode(kind: type) -> bool:
    """Whether the forward or __call__ of a class, or what it calls of its own in the same file,
    reads self.training."""
    todo = [("forward", ""), ("__call__", "")]
    seen: set[str] = set()
    while todo and len(seen) < METHODS:
        name, file = todo.pop()
        seen.add(name)
        for base in type.__dict__["__mro__"].__get__(kind):
            if base is nn.Module:
                break
            code = getattr(attributes(base).get(name), "__code__", None)
            if code is None:
                continue
            if file in ("", code.co_filename):
                if "training" in code.co_names:
                    return True
                todo += [(each, code.co_filename) for each in code.co_names if each not in seen]
            # Its base's own one runs only where it says so.
            if "super" not in code.co_names:
                break
    return False
