"""Notices a functional dropout that goes on in eval mode, as its call says nothing of the mode."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from types import FrameType, FunctionType
from typing import Any

import torch
import torch.nn.functional as functional
from torch import nn

from graphlab.observe.names import Names, submodules
from graphlab.observe.notes import RawBackward, RawModule, located
from graphlab.observe.optimizers.left_out.held import name_what_libraries_hold
from graphlab.observe.sightings.state.modes import DROPOUTS
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Ref, Unnoticed, is_module
from graphlab.source.evaluate import evaluate
from graphlab.source.objects import LOST, attributes, exactly, lookup, static
from graphlab.source.places import nodes_of, parse, place
from graphlab.trace.model import Location
from graphlab.trace.module_sightings import DropsInEval

# How many evaluations are looked at for calls, and how many calls of one are looked through.
LOOKS, CALLS = 8, 4096
# Of these, `training` is the third argument, and True if it is left out.
_FUNCTIONS = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout")
# What may keep a statement of a function from running each time.
_BRANCHES = (
    ast.If, ast.For, ast.While, ast.Try, ast.Match, ast.IfExp, ast.BoolOp, ast.Lambda,
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ListComp, ast.SetComp, ast.DictComp,
    ast.GeneratorExp,
)  # fmt: skip


@dataclass(slots=True)
class Evaluated:
    """The module `ref`, of the identity `key`, was put into eval mode at `at`, after an optimizer's
    step; its forward has the dropouts `calls`. after: the last event before."""

    ref: Ref
    key: int
    name: str
    at: Location | None
    calls: list[tuple[Location, str]]
    after: Any


class Dropouts:
    """Handles calls of Module.train(), which eval() calls as well. Nothing is done at a dropout:
    what a forward always runs is read from its source."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._open: list[Evaluated] = []
        self._found: dict[Location, DropsInEval] = {}
        self._known: dict[Any, list[tuple[Location, str, ast.Call]]] = {}
        self._looks = LOOKS
        watched.tracer.handle(nn.Module.train, self._on_train, "call")
        watched.tracer.handle(torch.autograd.backward, self._on_backward, "call")

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing: the modes are seen, and the calls of modules."""

    def found(self) -> Iterator[DropsInEval]:
        self._close()
        yield from self._found.values()

    def _on_train(self, frame: FrameType, event: str, arg: Any) -> None:
        code, outer = frame.f_code, frame.f_back
        if outer is None or self._looks <= 0:
            return
        if (outer.f_code.co_name, outer.f_code.co_filename) == (code.co_name, code.co_filename):
            return
        module, mode = frame.f_locals.get("self"), frame.f_locals.get("mode")
        if not is_module(module):
            return
        with Unnoticed():
            self._close()
            awake = attributes(module).get("training") is True
            if mode is False and awake and self._stepped():
                self._begin(module, outer)

    def _on_backward(self, frame: FrameType, event: str, arg: Any) -> None:
        if self._open:
            with Unnoticed():
                self._close()

    def _stepped(self) -> bool:
        return any(state.steps for state in self._watched.ledger.registry.states)

    def _begin(self, module: Any, frame: FrameType) -> None:
        """Note the parts of a module whose forward drops in either mode."""
        files, spot = self._watched.files, self._watched.tracer.spot(frame)
        several = [(each, calls) for _, each in submodules(module) if (calls := self._calls(each))]
        if not several:
            return
        self._looks -= 1
        names = Names(files).gather(frame)
        if any(id(each) not in names.modules for each, _ in several):
            name_what_libraries_hold(names, frame, files)
        events = self._watched.log.events
        for each, calls in several:
            name = names.modules.get(id(each))
            if name is not None and attributes(each).get("training") is True:
                after = events[-1] if events else None
                self._open.append(Evaluated(Ref(each), id(each), name, located(spot), calls, after))

    def _close(self) -> None:
        """The evaluations end: those that called their module are told."""
        opened, self._open = self._open, []
        for each in opened:
            module = each.ref()
            # One that is gone was in eval mode to its end: a train() would have closed this. A
            # library may set the flag itself, after an evaluation that it runs without gradients.
            awake = module is not None and attributes(module).get("training") is not False
            calls = self._calls_since(each.key, module, each.after)
            if len(calls) > 1 and calls[0] == calls[1] if awake else calls:
                for at, by in each.calls:
                    self._found.setdefault(at, DropsInEval(at, by, each.name, each.at))
                self._looks = min(self._looks, 1)

    def _calls_since(self, key: int, module: Any, after: Any) -> list[int]:
        """How many nodes had been made at each of its calls since `after`, the first one first;
        none if that was a later module with its identity."""
        known, events = self._watched.log.modules.get(key), self._watched.log.events
        found: list[int] = []
        if known is None or known() is not module:
            return found
        for event in islice(reversed(events), CALLS):
            if event is after:
                return found[::-1]
            if isinstance(event, RawModule) and event.module == key:
                found.append(event.seq)
        return []

    def _calls(self, module: Any) -> list[tuple[Location, str]]:
        """The dropouts that each forward of a module runs with the default of `training`."""
        forward = static(type(module), "forward")
        if type(forward) is not FunctionType or forward.__code__ not in self._watched.files:
            return []
        if "forward" in attributes(module):
            return []
        known = self._known.get(forward.__code__)
        if known is None:
            known = self._known[forward.__code__] = list(_always_drops(forward))
        return [(at, by) for at, by, node in known if _drops(node, module, forward)]


def _always_drops(forward: FunctionType) -> Iterator[tuple[Location, str, ast.Call]]:
    code = forward.__code__
    definition = next(
        (
            each
            for each in nodes_of(parse(code.co_filename))
            if isinstance(each, ast.FunctionDef)
            and each.name == code.co_name
            and each.lineno <= code.co_firstlineno + len(each.decorator_list)
            and each.lineno >= code.co_firstlineno
        ),
        None,
    )
    for statement in definition.body if definition is not None else ():
        if isinstance(statement, ast.Return | ast.Raise) or not isinstance(statement, _BRANCHES):
            for node in _unbranched(statement):
                if isinstance(node, ast.Call) and _is_dropout(node, forward):
                    at = place(node, code.co_filename, code.co_qualname)
                    yield at, ast.unparse(node), node
        if any(isinstance(each, ast.Return | ast.Raise) for each in ast.walk(statement)):
            # What comes after may not run.
            return


def _unbranched(node: ast.AST) -> Iterator[ast.AST]:
    """A statement's parts that run each time it does."""
    yield node
    for each in ast.iter_child_nodes(node):
        if not isinstance(each, _BRANCHES):
            yield from _unbranched(each)


def _is_dropout(node: ast.Call, forward: FunctionType) -> bool:
    own = (*forward.__code__.co_varnames, *forward.__code__.co_freevars)

    def value(of: ast.AST) -> Any:
        return evaluate(of, lambda name: LOST if name in own else lookup(name, forward.__globals__))

    if isinstance(node.func, ast.Call):
        # ``nn.Dropout(0.5)(x)``: a module that is made for one call is in training mode.
        return any(value(node.func.func) is each for each in DROPOUTS)
    if len(node.args) > 2 or any(isinstance(each, ast.Starred) for each in node.args):
        return False
    if any(each.arg not in ("p", "input", "inplace") for each in node.keywords):
        return False
    called = value(node.func)
    return called is not LOST and any(
        called is getattr(functional, name, None) for name in _FUNCTIONS
    )


def _drops(node: ast.Call, module: Any, forward: FunctionType) -> bool:
    """Whether it is known to drop anything: its `p` is a number that is not 0."""
    made = node.func if isinstance(node.func, ast.Call) else None
    words, place = (made.keywords, made.args[:1]) if made else (node.keywords, node.args[1:2])
    given = next((each.value for each in words if each.arg == "p"), None)
    given = place[0] if place else given
    if given is None:
        return True
    own = forward.__code__.co_varnames

    def variable(name: str) -> Any:
        if name in own or name in forward.__code__.co_freevars:
            return module if name == own[0] else LOST
        return lookup(name, forward.__globals__)

    value = evaluate(given, variable)
    return exactly(value, float, int) and value > 0
