"""What a name in the source stood for: looked up in a traceback's frames, running no code of
the program's, no property and no __getattr__."""

from __future__ import annotations

import ast
import sys
from types import FrameType
from typing import Any

from graphlab.observe.names import Names
from graphlab.observe.statements import Scope

# No value, since nothing that is still there holds one.
LOST: Any = object()


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
        self._main = vars(main) if main is not None else {}

    def of(self, node: ast.expr, scope: Scope) -> Any:
        """The value of a name, an attribute or an item of it, or LOST."""
        if isinstance(node, ast.Name):
            return self._name(node.id, scope)
        if isinstance(node, ast.Attribute):
            holder = self.of(node.value, scope)
            return LOST if holder is LOST else _attribute(holder, node.attr)
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            holder, key = self.of(node.value, scope), node.slice.value
            if type(holder) is dict:
                return holder.get(key, LOST)
            if type(holder) in (list, tuple) and isinstance(key, int):
                return holder[key] if -len(holder) <= key < len(holder) else LOST
        return LOST

    def _name(self, name: str, scope: Scope) -> Any:
        function = scope.function
        frame = self._frame(scope)
        if frame is not None and name in frame.f_locals:
            return frame.f_locals[name]
        if function is not None and frame is None and name in _own_names(function):
            return self._self(name, scope)
        return self._space(scope.file).get(name, LOST)

    def _frame(self, scope: Scope) -> FrameType | None:
        function = scope.function
        if function is None:
            return None
        first = min([function.lineno, *(each.lineno for each in function.decorator_list)])
        return self._frames.get((scope.file, function.name, first))

    def _self(self, name: str, scope: Scope) -> Any:
        """`self` of a method that has returned, where its class has but one instance in reach."""
        arguments = scope.function.args.args if scope.function is not None else []
        if scope.owner is None or not arguments or arguments[0].arg != name:
            return LOST
        made = [each for each in self._names.held_modules() if type(each).__name__ == scope.owner]
        return made[0] if len(made) == 1 else LOST

    def _space(self, file: str) -> dict[str, Any]:
        known = self._globals.get(file)
        if known is None:
            modules = list(sys.modules.values())
            held = next((m for m in modules if getattr(m, "__file__", None) == file), None)
            # A notebook's cells share the main module's variables.
            known = self._globals[file] = vars(held) if held is not None else self._main
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


def _attribute(holder: Any, name: str) -> Any:
    try:
        own = object.__getattribute__(holder, "__dict__")
    except AttributeError:
        return LOST
    if name in own:
        return own[name]
    # Where a module keeps what it answers for by __getattr__.
    for drawer in ("_parameters", "_buffers", "_modules"):
        kept = own.get(drawer)
        if isinstance(kept, dict) and name in kept:
            return kept[name]
    return LOST
