"""Finds a recurrent cell whose state is detached at each step of one backward: it is trained, and
never over more than one step.

A state that is cut between backwards is truncated on purpose. So is one that is cut now and then.
"""

from __future__ import annotations

import ast
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from torch import nn

from graphlab.observe.graph.walk import sequence, walk
from graphlab.observe.names import Names
from graphlab.observe.notes import RawBackward
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import (
    Ref,
    grad_fn_of,
    requires_grad,
    shape_of,
    storage_key,
    tensors_in,
)
from graphlab.source.effects.detached import detaches_around
from graphlab.source.evaluate import in_frame
from graphlab.source.files import user_frames
from graphlab.source.objects import LOST, attribute, class_name, is_a
from graphlab.source.places import parse, place
from graphlab.trace.module_sightings import StatesCut
from graphlab.trace.values import Location

_CELLS = (nn.RNNCell, nn.LSTMCell, nn.GRUCell)
_LAYERS = (nn.RNN, nn.LSTM, nn.GRU)
# How many steps are kept of each module, in how many of one backward it must have been so, and at
# how many backwards.
KEPT, STEPS, ENOUGH = 64, 2, 2
# How many calls of one class are looked at, and how many if all of its modules are known by then.
MOST, FEW = 4096, 128
# A graph larger than this is not searched for a way around the cut.
_LARGE = 5_000


@dataclass(slots=True)
class Chain:
    """What a module was last given and gave. state: its last one without a graph, which keeps its
    memory from being used again; made: the node behind it. cuts: the nodes before and behind a
    state that was cut. carried: it has had a state with a graph."""

    ref: Ref
    state: list[Any] = field(default_factory=list)
    made: int = -1
    before: int = -1
    cuts: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=KEPT))
    seen: int = 0
    carried: bool = False
    told: bool = False
    at: tuple[Location, ...] = ()
    state_name: str = ""
    name: str = ""


class CutStates:
    """Handles the calls of torch's cells, and of its layers where they are given one step."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._known: dict[int, Chain] = {}
        self._found: dict[int, StatesCut] = {}
        self._calls: Counter[Any] = Counter()
        for kind in (*_CELLS, *_LAYERS):
            watched.tracer.handle(kind.forward, self._on_call, "call", "return")

    def found(self) -> Iterator[StatesCut]:
        yield from self._found.values()

    def _on_call(self, frame: FrameType, event: str, arg: Any) -> None:
        module = frame.f_locals.get("self")
        known = self._known.get(id(module))
        if known is None or known.ref() is not module:
            if not is_a(module, (*_CELLS, *_LAYERS)):
                return
            known = self._known[id(module)] = Chain(Ref(module))
        if event == "call":
            self._count(module)
        if known.carried or known.told:
            known.state = []
        elif event == "call":
            self._given(known, module, frame)
        else:
            self._gave(known, arg[-1] if is_a(module, _LAYERS) else arg)

    def _count(self, module: Any) -> None:
        """A handler costs as much as a cell's step: once enough is known it is called no more."""
        kind = next(each for each in (*_CELLS, *_LAYERS) if is_a(module, each))
        self._calls[kind] += 1
        calls = self._calls[kind]
        if calls % FEW:
            return
        known = [each for each in self._known.values() if is_a(each.ref(), kind)]
        if calls >= MOST or all(each.carried or each.told for each in known):
            self._watched.tracer.drop(kind.forward, self._on_call)
            for each in known:
                each.state = []

    def _given(self, known: Chain, module: Any, frame: FrameType) -> None:
        known.before = -1
        given = [*tensors_in(frame.f_locals.get("hx"))]
        if any(map(requires_grad, given)):
            # A learned state that it begins with is a leaf.
            known.carried = any(grad_fn_of(each) is not None for each in given)
            return
        keys = {storage_key(each) for each in known.state}
        if not given or not all(storage_key(each) in keys for each in given):
            return
        if is_a(module, _LAYERS) and not _one_step(module, frame.f_locals.get("input")):
            known.carried = True
            return
        known.before = known.made
        if not known.at:
            self._place(known, module, frame, given)

    def _gave(self, known: Chain, state: Any) -> None:
        gave = [*tensors_in(state)]
        made = grad_fn_of(gave[0]) if gave else None
        known.state = [each.detach() for each in gave]
        known.made = sequence(made) if made is not None else -1
        if known.before >= 0 and known.made >= 0:
            known.cuts.append((known.before, known.made))

    def _place(self, known: Chain, module: Any, frame: FrameType, given: list[Any]) -> None:
        files = self._watched.files
        keys = {storage_key(each) for each in given}
        for each in user_frames(frame.f_back, files):
            file, line = each.f_code.co_filename, each.f_lineno
            told = [
                one for one in detaches_around(parse(file), line) if _is_state(one.of, each, keys)
            ]
            if told:
                # Those of one statement: a state may be a pair.
                told = [one for one in told if one.statement is told[-1].statement]
                function = each.f_code.co_qualname
                known.at = tuple(place(one.node, file, function) for one in told)
                known.state_name = ast.unparse(told[0].of)
                known.name = Names(files).gather(each).modules.get(id(module), class_name(module))
                return

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        chains = [each for each in self._known.values() if each.cuts and not each.carried]
        if record.is_grad or not chains:
            return
        by_sequence = {sequence(each): each for each in nodes}
        for each in chains:
            cuts = [cut for cut in each.cuts if cut[0] in by_sequence and cut[1] in by_sequence]
            each.cuts.clear()
            if len(cuts) < STEPS:
                continue
            first, second = (by_sequence[at] for at in cuts[0])
            if first in walk([second], _LARGE):
                # Another way leads from step to step.
                each.carried = True
                continue
            each.seen += 1
            if each.seen == ENOUGH and each.at:
                each.told = True
                self._found[id(each)] = StatesCut(
                    each.at[0], each.state_name, each.name, each.at[1:]
                )


def _one_step(module: Any, given: Any) -> bool:
    """Whether a layer is given a sequence of one."""
    shape = shape_of(given)
    along = 1 if attribute(module, "batch_first") is True and len(shape) == 3 else 0
    return len(shape) > 1 and shape[along] == 1


def _is_state(node: ast.expr, frame: FrameType, keys: set[Any]) -> bool:
    value = in_frame(node, frame)
    return value is not LOST and any(storage_key(each) in keys for each in tensors_in(value))
