"""Looks up what a name in the source stood for, in a traceback's frames."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from types import FrameType, FunctionType, ModuleType
from typing import Any

from graphlab.observe.names import Names, submodules
from graphlab.observe.tensors import is_tensor
from graphlab.source.evaluate import evaluate
from graphlab.source.files import UserFiles
from graphlab.source.objects import LOST, attributes, class_name, is_a, items, lookup, variables
from graphlab.source.statements import Scope


def user_frames(frame: FrameType | None, files: UserFiles) -> list[FrameType]:
    """The user's among `frame` and its callers, the innermost first."""
    frames = []
    while frame is not None:
        if frame.f_code in files:
            frames.append(frame)
        frame = frame.f_back
    return frames


def files_of(frames: list[FrameType], files: UserFiles) -> list[str]:
    """The files of the frames, and of what they import that is the user's."""
    found = dict.fromkeys(frame.f_code.co_filename for frame in frames)
    for frame in frames:
        for value in variables(frame.f_globals).values():
            file: Any = None
            if type(value) is FunctionType:
                file = value.__code__.co_filename
            elif is_a(value, ModuleType):
                file = attributes(value).get("__file__")
            elif is_a(value, type):
                made = [m for m in attributes(value).values() if type(m) is FunctionType]
                file = made[0].__code__.co_filename if made else None
            if type(file) is str and file in files:
                found.setdefault(file)
    return list(found)


class Values:
    """Looks names up where `frames` (innermost first) and modules still hold their values."""

    def __init__(self, frames: list[FrameType], names: Names) -> None:
        self._names = names
        self._frames: dict[tuple[str, str, int], FrameType] = {}
        self._globals: dict[str, dict[str, Any]] = {}
        for frame in frames:
            code = frame.f_code
            key = (code.co_filename, code.co_name, code.co_firstlineno)
            self._frames.setdefault(key, frame)
            self._globals.setdefault(code.co_filename, frame.f_globals)
        main = sys.modules.get("__main__")
        self._main = attributes(main)

    def of(self, node: ast.expr, scope: Scope) -> Any:
        """The value of a name, an attribute or an item of it, or LOST."""
        return evaluate(node, lambda name: self._name(name, scope))

    def runs(self, scope: Scope) -> bool:
        """Whether a frame of the function of `scope` is among those looked at."""
        return self._frame(scope) is not None

    def _name(self, name: str, scope: Scope) -> Any:
        function = scope.function
        frame = self._frame(scope)
        found = lookup(name, frame.f_locals) if frame is not None else LOST
        if found is not LOST:
            return found
        if function is not None and frame is None and name in _own_names(function):
            return self._self(name, scope)
        return lookup(name, self._space(scope.file))

    def _frame(self, scope: Scope) -> FrameType | None:
        function = scope.function
        if function is None:
            return None
        first = min([function.lineno, *(each.lineno for each in function.decorator_list)])
        return self._frames.get((scope.file, function.name, first))

    def _self(self, name: str, scope: Scope) -> Any:
        """`self` of a method that has returned, if the frames hold only one object of its class."""
        arguments = scope.function.args.args if scope.function is not None else []
        if scope.owner is None or not arguments or arguments[0].arg != name:
            return LOST
        made = [each for each in self._names.held_modules() if class_name(each) == scope.owner]
        running = [lookup(name, each.f_locals) for each in self._frames.values()]
        made += [each for each in running if each is not LOST and class_name(each) == scope.owner]
        return made[0] if len({id(each) for each in made}) == 1 else LOST

    def _space(self, file: str) -> dict[str, Any]:
        known = self._globals.get(file)
        if known is None:
            spaces = (attributes(module) for module in list(sys.modules.values()))
            held = next((each for each in spaces if each.get("__file__") == file), None)
            # A notebook's cells share the main module's variables.
            known = self._globals[file] = held if held is not None else self._main
        return known


def _own_names(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [each for each in (arguments.vararg, arguments.kwarg) if each is not None]
    stored = (
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
    return {each.arg for each in every}.union(stored)


def defaults(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[str, Any]]:
    given = function.args
    plain = [*given.posonlyargs, *given.args]
    pairs: Iterable[tuple[ast.arg, ast.expr | None]] = [
        *zip(reversed(plain), reversed(given.defaults), strict=False),
        *zip(given.kwonlyargs, given.kw_defaults, strict=True),
    ]
    for argument, value in pairs:
        if isinstance(value, ast.Constant):
            yield argument.arg, value.value


def calls_in(body: list[ast.stmt], scope: Scope) -> Iterator[tuple[Scope, ast.Call]]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            path = f"{scope.path}.{node.name}" if scope.path else node.name
            yield from calls_in(node.body, Scope(scope.file, node, scope.owner, (), path))
        elif isinstance(node, ast.ClassDef):
            path = f"{scope.path}.{node.name}" if scope.path else node.name
            yield from calls_in(node.body, Scope(scope.file, None, node.name, (), path))
        else:
            for each in ast.walk(node):
                if isinstance(each, ast.Call):
                    yield scope, each


def named_parameters(module: Any) -> list[Any]:
    """As ``list(module.named_parameters())``."""
    return [
        (f"{path}.{key}" if path else str(key), parameter)
        for path, each in submodules(module)
        for key, parameter in items(attributes(each).get("_parameters"))
        if is_tensor(parameter)
    ]


def bound_to(target: ast.expr, value: Any) -> dict[str, Any]:
    if isinstance(target, ast.Name):
        return {target.id: value}
    if isinstance(target, ast.Tuple) and type(value) is tuple and len(target.elts) == len(value):
        found: dict[str, Any] = {}
        for one, other in zip(target.elts, value, strict=True):
            found |= bound_to(one, other)
        return found
    return {}
