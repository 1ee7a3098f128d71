"""The user's files as one program: who calls what, with what, and where attributes are set."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable
from functools import cached_property
from types import ModuleType
from typing import Any

import torch

from graphlab.observe.origins.bindings import (
    FUNCTIONS,
    Binding,
    Step,
    arguments,
    bindings,
    class_around,
    parents,
    scope_around,
)
from graphlab.observe.origins.context import Context, Entry, code_scope, function_of, node_at
from graphlab.observe.origins.times import Times
from graphlab.source.files import UserFiles
from graphlab.source.objects import LOST, is_a, static
from graphlab.source.places import parse
from graphlab.source.vocabulary import LIBRARIES

# Between a call in the user's source and the user's function that it ends in, these parts of torch
# hand the arguments on as they are.
_HANDS_ON = (
    "nn/modules/module.py", "_functorch/apis.py", "_functorch/vmap.py",
    "_functorch/eager_transforms.py", "utils/_contextlib.py", "_compile.py",
    "_dynamo/eval_frame.py", "utils/_functools.py",
)  # fmt: skip

Given = tuple[ast.AST, Context, tuple[Step, ...]]


class Project:
    """`entries` are the frames of the stack, outermost first, and `names` the user's files."""

    def __init__(
        self, files: UserFiles, names: Iterable[str], entries: list[Entry], times: Times | None
    ) -> None:
        self._files, self.entries, self.times = files, entries, times
        self.trees: dict[str, ast.Module] = {}
        for name in names:
            tree = parse(name)
            if tree is not None:
                self.trees[name] = tree

    @cached_property
    def functions(self) -> dict[str, list[tuple[str, Any]]]:
        """(file, node) of every function, by name."""
        return self._named(FUNCTIONS)

    @cached_property
    def classes(self) -> dict[str, list[tuple[str, Any]]]:
        return self._named((ast.ClassDef,))

    def _named(self, kinds: tuple[type, ...]) -> dict[str, list[tuple[str, Any]]]:
        found: dict[str, list[tuple[str, Any]]] = {}
        for file, tree in self.trees.items():
            for each in ast.walk(tree):
                if isinstance(each, kinds):
                    found.setdefault(each.name, []).append((file, each))  # type: ignore[attr-defined]
        return found

    @cached_property
    def calls(self) -> dict[str, list[tuple[str, ast.Call]]]:
        """(file, call), by the last word of what is called."""
        found: dict[str, list[tuple[str, ast.Call]]] = {}
        for file, tree in self.trees.items():
            for each in ast.walk(tree):
                if isinstance(each, ast.Call):
                    func = each.func
                    word = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
                    found.setdefault(word, []).append((file, each))
        return found

    def defines(self, name: str) -> bool:
        return name in self.functions

    def is_library(self, node: ast.expr) -> bool:
        """Whether it is a module of a library's, such as ``torch.nn.functional``."""
        root = node
        while isinstance(root, ast.Attribute):
            root = root.value
        return isinstance(root, ast.Name) and root.id in (LIBRARIES | {"np", "einops", "math"})

    # Frames -------------------------------------------------------------------

    def entry_of(self, file: str, scope: ast.AST) -> Entry | None:
        """The innermost running call of a function, or the module's frame."""
        for each in reversed(self.entries):
            code = each.frame.f_code
            if code.co_filename == file and code_scope(code) is scope:
                return each
        return None

    def given(self, name: str, context: Context) -> list[Given]:
        """The expressions that may have been passed for a parameter; none if that is not known."""
        scope = context.scope
        if context.entry is not None:
            call = self._caller(context.entry)
            passed = call and self._passed(call[0], call[1], scope, context.file, name)
            return [passed] if passed else []
        function = getattr(scope, "name", "")
        owner = class_around(scope, context.file)
        if function == "__init__" and owner is not None:
            function = owner.name
        elif function == "forward":
            return []
        sites = self.calls.get(function, [])
        told = []
        for file, call in sites:
            outer = scope_around(call, file)
            around_it = Context(file, outer, call, self.entry_of(file, outer))
            passed = self._passed(call, around_it, scope, context.file, name)
            if passed is not None:
                told.append(passed)
        return told

    def _caller(self, entry: Entry) -> tuple[ast.Call, Context] | None:
        at = next((i for i, each in enumerate(self.entries) if each.frame is entry.frame), -1)
        for each in reversed(self.entries[: max(at, 0)]):
            file = each.frame.f_code.co_filename
            if file in self._files:
                node = node_at(each.frame.f_code, each.offset)
                context = Context.of_entry(each)
                if isinstance(node, ast.Call) and context is not None:
                    return node, context
                return None
            if not file.replace(os.sep, "/").endswith(_HANDS_ON) and "functools" not in file:
                return None
        return None

    def _passed(
        self, call: ast.Call, outer: Context, scope: Any, file: str, name: str
    ) -> Given | None:
        if not isinstance(scope, (*FUNCTIONS, ast.Lambda)):
            return None
        found = arguments(call, scope, _has_self(scope, file)).get(name)
        if found is None or (getattr(found[0], "lineno", None) is None and not _made(found[0])):
            return None
        return found[0], outer, found[1]

    # Names of other files -----------------------------------------------------

    def imported(self, name: str, file: str) -> list[tuple[str, str]]:
        """(file, name there) of a name that `file` imports from another of the user's."""
        found = []
        for each in ast.walk(self.trees.get(file, ast.Module([], []))):
            if isinstance(each, ast.ImportFrom):
                for alias in each.names:
                    if (alias.asname or alias.name) == name:
                        word = (each.module or "").rsplit(".", 1)[-1]
                        found += [(other, alias.name) for other in self._files_called(word)]
        return found

    def modules_of(self, file: str) -> list[tuple[str, str]]:
        """(name, file) of the user's modules that a file imports."""
        found = []
        for each in ast.walk(self.trees.get(file, ast.Module([], []))):
            if isinstance(each, ast.Import | ast.ImportFrom):
                for alias in each.names:
                    for other in self._files_called(alias.name.rsplit(".", 1)[-1]):
                        found.append((alias.asname or alias.name, other))
        return found

    def _files_called(self, word: str) -> list[str]:
        return [
            each
            for each in self.trees
            if (word and os.path.splitext(os.path.basename(each))[0] == word)
            or (
                os.path.basename(os.path.dirname(each)) == word
                and os.path.basename(each) == "__init__.py"
            )
        ]

    # Attributes ---------------------------------------------------------------

    def _lines_of_descent(self, node: ast.expr, context: Context) -> set[str] | None:
        """The names of the classes that an object may be of; None if that is not known."""
        value = context.value(node)
        kind = value if is_a(value, type) else type(value)
        if value is not LOST and value is not None:
            if is_a(value, ModuleType):
                return set()
            return {each.__name__ for each in type.__dict__["__mro__"].__get__(kind)} - {"object"}
        if isinstance(node, ast.Name) and node.id in ("self", "cls"):
            owner = class_around(context.scope, context.file)
            return self._ancestors(owner.name) if owner is not None else None
        return None

    def _ancestors(self, name: str) -> set[str]:
        found, todo = set(), [name]
        while todo:
            each = todo.pop()
            if each in found:
                continue
            found.add(each)
            for _, node in self.classes.get(each, ()):
                todo += [ast.unparse(base).rsplit(".", 1)[-1] for base in node.bases]
        return found

    def stored(self, node: ast.Attribute, context: Context) -> list[tuple[Context, Binding]]:
        """The statements that may have set an attribute, each with its own context."""
        kinds = self._lines_of_descent(node.value, context)
        holder = context.value(node.value)
        found: list[tuple[Context, Binding]] = []
        for file in self.trees:
            for scope, each in bindings(file).get(f".{node.attr}", ()):
                target = each.target
                assert isinstance(target, ast.Attribute)
                if isinstance(each.value, ast.Constant):
                    continue
                own = isinstance(target.value, ast.Name) and target.value.id in ("self", "cls")
                owner = class_around(scope, file)
                if own and kinds is not None and (owner is None or owner.name not in kinds):
                    continue
                entry = context.entry if scope is context.scope else None
                there = Context(
                    file, scope, each.node, entry, receiver=holder if own else LOST
                )  # fmt: skip
                found.append((there, each))
            for scope, each in bindings(file).get(node.attr, ()):
                owner = parents(file).get(each.node)
                if isinstance(owner, ast.ClassDef) and (kinds is None or owner.name in kinds):
                    found.append((Context(file, scope, each.node), each))
        if all(isinstance(each.value, ast.AugAssign) for _, each in found):
            found += self._fields(node.attr, kinds)
        return self._that_ran(found)

    def _that_ran(self, found: list[tuple[Context, Binding]]) -> list[tuple[Context, Binding]]:
        times = self.times
        if times is None or not times.whole or len(found) < 2:
            return found
        ran = [each for each in found if times.last(each[0].file, _line(each[1].node)) >= 0]
        return ran or found

    def _fields(self, name: str, kinds: set[str] | None) -> Iterable[tuple[Context, Binding]]:
        """What constructors were given for a field of that name, as a dataclass has."""
        for kind in kinds or self.classes:
            fields = [
                each.target.id
                for _, node in self.classes.get(kind, ())
                for each in node.body
                if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
            ]
            if name not in fields:
                continue
            for file, call in self.calls.get(kind, ()):
                at = fields.index(name)
                words = [each.value for each in call.keywords if each.arg == name]
                given = words or call.args[at : at + 1]
                scope = scope_around(call, file)
                for each in given:
                    there = Context(file, scope, call, self.entry_of(file, scope))
                    yield there, Binding(ast.Name(name, ast.Store()), each, (), (), call)

    def getter(self, node: ast.Attribute, context: Context) -> Context | None:
        """The call of a property's function that reading an attribute is."""
        kinds = self._lines_of_descent(node.value, context)
        for file, function in self.functions.get(node.attr, ()):
            owner = class_around(function, file)
            marks = [ast.unparse(each) for each in function.decorator_list]
            if not any(each.endswith("property") for each in marks) or owner is None:
                continue
            if kinds is None or owner.name in kinds:
                return Context(file, function, function, receiver=context.value(node.value))
        return None

    # Calls --------------------------------------------------------------------

    def entered(self, call: ast.Call, context: Context) -> list[Context]:
        """The calls of the user's own functions that a call may be; empty for a library's."""
        func = call.func
        value = context.value(func)
        if value is not LOST and value is not None:
            if is_a(value, type):
                return []
            holder, function = function_of(value)
            if function is None or function.__code__.co_filename not in self.trees:
                return []
            code = function.__code__
            scope = code_scope(code)
            if not isinstance(scope, (*FUNCTIONS, ast.Lambda)):
                return []
            return [self._called(call, context, code.co_filename, scope, holder, function)]
        return [
            self._called(call, context, file, scope, LOST)
            for file, scope in self.named(func, context)
        ]

    def _called(
        self, call: ast.Call, outer: Context, file: str, scope: Any, holder: Any,
        function: Any = None,
    ) -> Context:  # fmt: skip
        given = arguments(call, scope, _has_self(scope, file))
        if holder is LOST and isinstance(call.func, ast.Attribute):
            holder = outer.value(call.func.value)
        space = function.__globals__ if function is not None else None
        bound = {name: (node, outer, take) for name, (node, take) in given.items()}
        return Context(file, scope, scope, None, bound, holder, space)

    def named(self, func: ast.expr, context: Context) -> list[tuple[str, Any]]:
        """The user's functions that may be meant where the object that is called is not known."""
        if isinstance(func, ast.Name):
            found = [each for each in self.functions.get(func.id, ()) if each[0] == context.file]
            plain = [each for each in found if class_around(each[1], each[0]) is None]
            if plain:
                return plain
            for file, name in self.imported(func.id, context.file):
                found = [each for each in self.functions.get(name, ()) if each[0] == file]
                if found:
                    return found
            return self._methods_of_made(func, context)
        if not isinstance(func, ast.Attribute) or self.is_library(func.value):
            return []
        kinds = self._lines_of_descent(func.value, context)
        found = [
            each
            for each in self.functions.get(func.attr, ())
            if (owner := class_around(each[1], each[0])) is not None
            and (kinds is None or owner.name in kinds)
        ]
        if kinds is None and static(torch.Tensor, func.attr) is not LOST:
            return []
        return found or self._methods_of_made(func, context)

    def _methods_of_made(self, func: ast.expr, context: Context) -> list[tuple[str, Any]]:
        """``forward`` of the class of which a variable or attribute was made."""
        word = func.id if isinstance(func, ast.Name) else f".{getattr(func, 'attr', '')}"
        found = []
        for file in self.trees if word.startswith(".") else (context.file,):
            for _, each in bindings(file).get(word, ()):
                made = each.value
                name = (
                    ast.unparse(made.func).rsplit(".", 1)[-1] if isinstance(made, ast.Call) else ""
                )
                for where, node in self.classes.get(name, ()):
                    for method in node.body:
                        if getattr(method, "name", "") in ("forward", "__call__"):
                            found.append((where, method))
        return found


def _has_self(scope: Any, file: str) -> bool:
    if class_around(scope, file) is None:
        return False
    marks = {ast.unparse(each) for each in getattr(scope, "decorator_list", ())}
    return "staticmethod" not in marks


def _made(node: Any) -> bool:
    return isinstance(node, ast.Tuple | ast.Dict)


def _line(node: ast.AST) -> int:
    return getattr(node, "lineno", 0)
