"""Finds backwards of the program's own that do not do what they were written for.

A custom Function's that never reads the gradient it is given breaks the chain: what it returns does
not depend on the loss. And a method ``backward`` of a module is nothing that autograd calls.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch

from graphlab.observe.failures.functions import CustomFunction, returns
from graphlab.observe.graph.walk import operation
from graphlab.observe.names import parameters_in, submodules
from graphlab.observe.notes import RawBackward
from graphlab.observe.sightings.watched import Watched
from graphlab.source.effects.assignments import scope_of
from graphlab.source.effects.origins import loaded_files
from graphlab.source.objects import attributes, class_name, static
from graphlab.source.places import parse, place
from graphlab.trace.functions.sightings import OwnBackward

# So many of the inspected backwards look for modules: models are built before them.
LOOKS = 3
# What hands a gradient of one on as it is, so that it may as well not be read.
_HANDED_ON = (
    "AddBackward0", "SumBackward0", "ViewBackward0", "ReshapeAliasBackward0", "SqueezeBackward0",
    "SqueezeBackward1", "UnsqueezeBackward0", "CloneBackward0", "ToCopyBackward0", "MeanBackward0",
    "AliasBackward0", "StackBackward0", "CatBackward0", "SumBackward1", "UnsafeViewBackward0",
)  # fmt: skip
_ZEROS = ("zeros", "zeros_like", "new_zeros", "detach")


class OwnBackwards:
    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._left = LOOKS
        # The types of nodes that were judged or are torch's own; what was found, by the Function.
        self._judged: set[type] = set()
        self._found: dict[Any, OwnBackward] = {}
        # By the identity of a module's class, which may have a metaclass of the program's; and
        # whether one that was seen has parameters.
        self._modules: dict[int, tuple[type, str, bool]] = {}

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        own: dict[type, Any] = {}
        for each in nodes:
            if type(each) not in self._judged and type(each) not in own:
                if CustomFunction.of(each) is None:
                    self._judged.add(type(each))
                else:
                    own[type(each)] = each
        changed = _through_a_change(nodes) if own else set()
        for kind in own:
            if any(type(each) is kind and each in changed for each in nodes):
                self._judged.add(kind)
                self._judge(CustomFunction(own[kind]))
        if self._left > 0:
            self._left -= 1
            self._look_at_modules()

    def _judge(self, function: CustomFunction) -> None:
        code, source = function.backward, function.source()
        if code is None or source is None or code not in self._watched.files:
            return
        given = [each.arg for each in source.args.args[1:]]
        given += [source.args.vararg.arg] if source.args.vararg is not None else []
        if given and _never_reads(source, given):
            told = next((each for each in returns(source) if _gives(each, source)), None)
            if told is not None:
                at = place(told, code.co_filename, f"{function.name}.{code.co_name}")
                self._found[function.kind] = OwnBackward(at, function.name, given[0], False)

    def _look_at_modules(self) -> None:
        for ref in list(self._watched.log.modules.values()):
            module = ref()
            for _, each in submodules(module) if module is not None else ():
                kind = type(each)
                if id(kind) not in self._modules and attributes(each).get("training") is True:
                    self._modules[id(kind)] = kind, class_name(each), bool(parameters_in(each))

    def found(self) -> Iterator[OwnBackward]:
        yield from self._found.values()
        own = [
            (owner, method, holds)
            for kind, owner, holds in self._modules.values()
            if (method := static(kind, "backward")) is not None
            and static(torch.nn.Module, "backward") is not method
        ]
        if not own or any(map(_calls_one, loaded_files(self._watched.files))):
            return
        for owner, method, holds in own:
            code = getattr(method, "__code__", None) if callable(method) else None
            if code is None or code not in self._watched.files or code.co_argcount < 2:
                continue
            source = scope_of(parse(code.co_filename), code.co_firstlineno, code.co_name)
            if isinstance(source, ast.FunctionDef) and _gives_a_gradient(source):
                at = place(source, code.co_filename, f"{owner}.{code.co_name}")
                yield OwnBackward(at, owner, source.args.args[1].arg, True, holds)


def _through_a_change(nodes: list[Any]) -> set[Any]:
    """The nodes whose gradient is not the one that the loss begins with."""
    below: list[Any] = [
        each
        for node in nodes
        if operation(node) not in _HANDED_ON
        for each, _ in node.next_functions
        if each is not None
    ]
    seen: set[Any] = set()
    while below:
        node = below.pop()
        if node not in seen:
            seen.add(node)
            below += [each for each, _ in node.next_functions if each is not None]
    return seen


def _never_reads(source: ast.FunctionDef, given: list[str]) -> bool:
    """Whether no line reads one of the gradients. One that is deleted at once is not read."""
    for node in ast.walk(source):
        if isinstance(node, ast.Name) and node.id in given and isinstance(node.ctx, ast.Load):
            return False
        if isinstance(node, ast.Raise | ast.Yield) or (
            isinstance(node, ast.Name) and node.id in ("locals", "super", "exec", "eval")
        ):
            return False
    return True


def _gives(node: ast.Return, source: ast.FunctionDef) -> bool:
    """Whether a return gives back anything but None and zeros."""
    value = node.value
    parts = value.elts if isinstance(value, ast.Tuple) else [value] if value is not None else []
    return any(_is_gradient(each, source) for each in parts)


def _is_gradient(part: ast.expr, source: ast.FunctionDef) -> bool:
    if isinstance(part, ast.Constant | ast.Starred):
        return False
    told: list[ast.AST] = [part]
    if isinstance(part, ast.Name):
        told += [
            each.value
            for each in ast.walk(source)
            if isinstance(each, ast.Assign)
            and any(isinstance(t, ast.Name) and t.id == part.id for t in each.targets)
        ]
    for each in (inner for one in told for inner in ast.walk(one)):
        if isinstance(each, ast.Call):
            name = each.func.attr if isinstance(each.func, ast.Attribute) else ""
            if name in _ZEROS or name.startswith("zero"):
                return False
        if isinstance(each, ast.Constant) and (each.value is None or each.value == 0):
            return False
    return True


def _calls_one(file: str) -> bool:
    """Whether a file calls a ``backward`` with something between its brackets, as one calls that of
    a module, or hands one on. ``loss.backward()``, with keywords at the most, is torch's."""
    tree = parse(file)
    if tree is None:
        return True
    every = [*ast.walk(tree)]
    bare = {id(each.func) for each in every if isinstance(each, ast.Call) and not each.args}
    named = [each for each in every if isinstance(each, ast.Attribute) and each.attr == "backward"]
    return any(id(each) not in bare for each in named)


def _gives_a_gradient(source: ast.FunctionDef) -> bool:
    """Whether it returns something, and runs no backward itself."""
    if any(
        isinstance(each, ast.Attribute) and "backward" in each.attr for each in ast.walk(source)
    ):
        return False
    return any(
        each.value is not None and not isinstance(each.value, ast.Constant)
        for each in returns(source)
    )
