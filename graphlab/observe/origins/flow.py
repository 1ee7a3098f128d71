"""Follows a value backwards through the user's source to the operations it may have come from.

It passes through variables, attributes, items, helper functions' parameters and results, loops and
comprehensions. Which operations count is decided by the property that is looked for.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any, NamedTuple

from graphlab.observe.origins.bindings import (
    ANY,
    FUNCTIONS,
    Binding,
    Step,
    bindings,
    fits,
    key_of,
    scope_around,
)
from graphlab.observe.origins.context import Context
from graphlab.observe.origins.project import Project
from graphlab.observe.origins.properties import Property, Verdict, operand_of
from graphlab.observe.origins.reaching import reaching
from graphlab.observe.tensors import is_module, is_tensor
from graphlab.source.objects import LOST, is_a

_DEPTH, _MOST = 40, 2_000
_SAME_ITEMS = {"list", "tuple", "iter", "reversed", "sorted", "set", "deque", "ModuleList",
               "ParameterList", "tqdm", "cycle", "chain", "stack_list"}  # fmt: skip
_ITEM_OF = {"next", "get", "pop", "popleft", "popitem", "choice"}

Path = tuple[Step, ...]


class Origin(NamedTuple):
    """An operation that the value may have come from, and the call it was in."""

    node: ast.AST
    context: Context


class Flow:
    """One search, for the property `what` of the tensor `wanted`, if that is known."""

    def __init__(self, project: Project, what: Property, wanted: Any = None) -> None:
        self._project, self._what, self._wanted = project, what, wanted
        # Whether a way back could not be followed to its end.
        self.lost = False
        self._seen: set[tuple[int, int, Path]] = set()

    def origins(
        self, node: ast.AST, context: Context, path: Path = (), depth: int = 0
    ) -> list[Origin]:
        """The operations that may have given `node`, or the part `path` of it, the property."""
        key = (id(node), context.call, path)
        if key in self._seen:
            return []
        if depth > _DEPTH or len(self._seen) > _MOST:
            self.lost = True
            return []
        self._seen.add(key)
        return _each_once(self._origins(node, context, path, depth + 1))

    def _origins(self, node: ast.AST, context: Context, path: Path, depth: int) -> Iterable[Origin]:
        again = self.origins
        if isinstance(node, ast.Name):
            return self._variable(node, context, path, depth)
        if isinstance(node, ast.Attribute):
            return self._attribute(node, context, path, depth)
        if isinstance(node, ast.Subscript):
            return self._item(node, context, path, depth)
        if isinstance(node, ast.Call):
            return self._call(node, context, path, depth)
        if isinstance(node, ast.Starred | ast.Await | ast.NamedExpr):
            return again(node.value, context, path, depth)
        if isinstance(node, ast.IfExp):
            return [*again(node.body, context, path, depth),
                    *again(node.orelse, context, path, depth)]  # fmt: skip
        if isinstance(node, ast.BoolOp):
            return [o for each in node.values for o in again(each, context, path, depth)]
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            return self._display(node.elts, context, path, depth)
        if isinstance(node, ast.Dict):
            return self._dictionary(node, context, path, depth)
        if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp):
            return again(node.elt, context, path[1:], depth)
        if isinstance(node, ast.DictComp):
            pair = path[1:] if path else ()
            return again(node.value, context, pair, depth)
        if isinstance(node, ast.BinOp) and path and isinstance(node.op, ast.Add):
            return [*again(node.left, context, path, depth),
                    *again(node.right, context, path, depth)]  # fmt: skip
        if isinstance(node, ast.BinOp | ast.UnaryOp | ast.AugAssign):
            alone = operand_of(node)
            verdict = self._what.operator(alone is not None)
            return self._judged(verdict, node, alone, context, depth)
        return []

    def _judged(
        self, verdict: Verdict, node: ast.AST, operand: ast.AST | None, context: Context,
        depth: int, path: Path = (),
    ) -> Iterable[Origin]:  # fmt: skip
        """What an operation's verdict says; `operand` is what it would hand on."""
        if verdict == "never":
            return ()
        found: list[Origin] = []
        if verdict != "gives" and operand is not None:
            found = self.origins(operand, context, path, depth)
        if verdict == "gives" or (verdict == "either" and not found):
            return [Origin(node, context)]
        return found

    # Variables and attributes --------------------------------------------------

    def _variable(self, node: ast.Name, context: Context, path: Path, depth: int) -> list[Origin]:
        every = [
            (scope, each)
            for scope, each in bindings(context.file).get(node.id, ())
            if isinstance(each.target, ast.Name)
        ]
        own = [each for scope, each in every if scope is context.scope]
        told = reaching(own, node, context, self._project.times) if own else []
        if isinstance(context.scope, ast.Module):
            found = self._bound(told, context, path, depth)
            for scope, each in self._from_functions(node.id, every):
                entry = self._project.entry_of(context.file, scope)
                there = Context(context.file, scope, each.node, entry)
                found += self._bound([each], there, path, depth)
            if found or told:
                return found
        elif told:
            return self._bound(told, context, path, depth)
        return [*self._parameter(node.id, context, path, depth),
                *self._further_out(node, every, context, path, depth)]  # fmt: skip

    def _from_functions(
        self, name: str, every: list[tuple[Any, Binding]]
    ) -> list[tuple[Any, Binding]]:
        """What functions put into a module's variable, or assign to it as a global."""
        whole = {id(scope) for scope, each in every if not each.put}
        found = []
        for scope, each in every:
            if isinstance(scope, ast.Module):
                continue
            words = [w for g in ast.walk(scope) if isinstance(g, ast.Global) for w in g.names]
            if name in words or (each.put and id(scope) not in whole):
                found.append((scope, each))
        return found

    def _bound(self, told: list[Binding], context: Context, path: Path, depth: int) -> list[Origin]:
        """The origins by bindings of one name, the last first."""
        found: list[Origin] = []
        for each in told:
            rest = fits(each.put, path)
            if rest is None:
                continue
            part = each.put and not each.take and is_tensor(context.value(each.target))
            if part or isinstance(each.value, ast.AugAssign):
                # An in-place write: what it was before counts too, and comes next.
                if self._what.written() == "either":
                    found.append(Origin(each.node, context))
                continue
            inner = context if each.node is context.use else _at(context, each.node)
            found += self.origins(each.value, inner, (*each.take, *rest), depth)
        writes = [each for each in found if isinstance(each.node, ast.AugAssign | ast.Assign)]
        others = [each for each in found if each not in writes]
        return others or writes

    def _parameter(self, name: str, context: Context, path: Path, depth: int) -> list[Origin]:
        told = getattr(context.scope, "args", None)
        names = {each.arg for each in ast.walk(told) if isinstance(each, ast.arg)} if told else ()
        if name not in names:
            return []
        if name in context.bound:
            value, outer, take = context.bound[name]
            return self.origins(value, outer, (*take, *path), depth)
        given = self._project.given(name, context)
        if not given:
            self.lost = True
        return [
            origin
            for value, outer, take in given
            for origin in self.origins(value, outer, (*take, *path), depth)
        ]

    def _further_out(
        self, node: ast.Name, every: list[tuple[Any, Binding]], context: Context, path: Path,
        depth: int,
    ) -> list[Origin]:  # fmt: skip
        """A variable of a function around this one, or of the module."""
        if isinstance(context.scope, ast.Module):
            return self._imported(node.id, context, path, depth)
        outer = scope_around(context.scope, context.file)
        if outer is context.scope:
            return []
        entry = self._project.entry_of(context.file, outer)
        around_it = Context(
            context.file, outer, context.scope, entry, space=context.space,
            bound=context.bound if entry is None else None,
        )  # fmt: skip
        names = {each.arg for each in ast.walk(context.scope.args) if isinstance(each, ast.arg)} \
            if isinstance(context.scope, (*FUNCTIONS, ast.Lambda)) else set()  # fmt: skip
        if node.id in names:
            return []
        return self._variable(node, around_it, path, depth)

    def _imported(self, name: str, context: Context, path: Path, depth: int) -> list[Origin]:
        """A variable that another of the user's modules has defined."""
        for file, original in self._project.imported(name, context.file):
            tree = self._project.trees.get(file)
            if tree is not None:
                there = Context(file, tree, tree)
                return self._variable(ast.Name(original, ast.Load()), there, path, depth)
        return []

    def _attribute(
        self, node: ast.Attribute, context: Context, path: Path, depth: int
    ) -> Iterable[Origin]:
        verdict = self._what.attribute(node.attr)
        if verdict is not None:
            return self._judged(verdict, node, node.value, context, depth)
        getter = self._project.getter(node, context)
        if getter is not None:
            return self._returns(getter, path, depth)
        if isinstance(node.value, ast.Name) and node.value.id not in ("self", "cls"):
            imported = dict(self._project.modules_of(context.file))
            file = imported.get(node.value.id)
            tree = self._project.trees.get(file) if file is not None else None
            if tree is not None and file is not None:
                there = Context(file, tree, tree)
                return self._variable(ast.Name(node.attr, ast.Load()), there, path, depth)
        found: list[Origin] = []
        told = self._project.stored(node, context)
        writes: list[Origin] = []
        for there, each in told:
            rest = fits(each.put, path)
            if rest is None:
                continue
            if isinstance(each.value, ast.AugAssign):
                if self._what.written() == "either":
                    writes.append(Origin(each.node, there))
                continue
            found += self.origins(each.value, there, (*each.take, *rest), depth)
        found = found or writes
        if not told:
            self.lost = True
        return found

    def _item(
        self, node: ast.Subscript, context: Context, path: Path, depth: int
    ) -> Iterable[Origin]:
        holder = context.value(node.value)
        if is_tensor(holder):
            return self._judged(self._what.part(), node, node.value, context, depth)
        if isinstance(node.slice, ast.Slice):
            if is_a(holder, (list, tuple)):
                return self.origins(node.value, context, (ANY, *path[1:]), depth)
            return self._judged(self._what.part(), node, node.value, context, depth)
        found = self.origins(node.value, context, (key_of(node.slice), *path), depth)
        if found or holder is not LOST or self._what.part() != "gives":
            return found
        return [Origin(node, context)] if isinstance(node.slice, ast.Tuple) else found

    # Displays and calls -------------------------------------------------------

    def _display(
        self, parts: list[ast.expr], context: Context, path: Path, depth: int
    ) -> Iterable[Origin]:
        chosen: Iterable[ast.expr] = parts
        if path and type(path[0]) is int and -len(parts) <= path[0] < len(parts):
            chosen = [parts[path[0]]]
        for each in self._that_is_wanted(chosen, context):
            inner = each.value if isinstance(each, ast.Starred) else each
            rest = path if isinstance(each, ast.Starred) else path[1:]
            yield from self.origins(inner, context, rest, depth)

    def _that_is_wanted(self, parts: Iterable[ast.expr], context: Context) -> list[ast.expr]:
        """The part whose present value is the tensor that is searched for; all, if none is."""
        several = list(parts)
        wanted = self._wanted
        same = [each for each in several if wanted is not None and context.value(each) is wanted]
        return same[:1] or several

    def _dictionary(
        self, node: ast.Dict, context: Context, path: Path, depth: int
    ) -> Iterable[Origin]:
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                yield from self.origins(value, context, path, depth)
            elif not path or ANY in (path[0], key_of(key)) or path[0] == key_of(key):
                yield from self.origins(value, context, path[1:], depth)

    def _call(self, node: ast.Call, context: Context, path: Path, depth: int) -> Iterable[Origin]:
        func = node.func
        name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
        first = node.args[0] if node.args else None
        handed = self._handed_on(node, name, first, context, path, depth)
        if handed is not None:
            return handed
        entered = self._project.entered(node, context)
        if entered:
            return [o for each in entered for o in self._returns(each, path, depth)]
        value = context.value(func)
        if is_module(value):
            return self._judged(self._what.operator(), node, first, context, depth)
        if is_a(value, type) and not name.endswith(("Parameter", "Buffer")):
            # An object: what was asked for is one of its arguments.
            given = [*node.args, *(word.value for word in node.keywords)]
            return [o for each in given for o in self.origins(each, context, path[1:], depth)]
        method = isinstance(func, ast.Attribute) and not self._project.is_library(func.value)
        operand = func.value if method and isinstance(func, ast.Attribute) else first
        verdict = self._what.call(name, method, node)
        rest = (ANY, *path[1:]) if name in ("stack", "cat") else ()
        return self._judged(verdict, node, operand, context, depth, rest if verdict else ())

    def _handed_on(
        self, node: ast.Call, name: str, first: ast.expr | None, context: Context, path: Path,
        depth: int,
    ) -> Iterable[Origin] | None:  # fmt: skip
        """Of a call of a built-in function or a container's method; None for any other."""
        func = node.func
        again = self.origins
        if isinstance(func, ast.Name) and first is not None:
            if name == "enumerate" and path:
                return again(first, context, (ANY, *path[2:]), depth) if path[1:2] != (0,) else ()
            if name == "zip" and len(path) > 1:
                chosen = node.args if path[1] == ANY else node.args[path[1] : path[1] + 1]  # type: ignore[operator,misc]
                return [o for each in chosen for o in again(each, context, (ANY, *path[2:]), depth)]
            if name == "getattr" and len(node.args) > 1:
                attribute = node.args[1]
                if isinstance(attribute, ast.Constant) and type(attribute.value) is str:
                    asked = ast.Attribute(first, attribute.value, ast.Load())
                    return again(asked, context, path, depth)
            if name == "next":
                return again(first, context, (ANY, *path), depth)
            if name == "map" and len(node.args) > 1:
                call = ast.copy_location(ast.Call(first, [], []), node)
                return again(call, context, path[1:], depth)
        if name in _SAME_ITEMS and first is not None and (path or isinstance(func, ast.Name)):
            return [o for each in node.args for o in again(each, context, path, depth)]
        if name == "dict" and isinstance(func, ast.Name):
            words = [each.value for each in node.keywords if not path or each.arg in (None, path[0])
                     or path[0] == ANY]  # fmt: skip
            return [o for each in words for o in again(each, context, path[1:], depth)]
        if isinstance(func, ast.Attribute) and not is_tensor(context.value(func.value)):
            if name == "items" and not node.args:
                rest = path[2:] if path[1:2] != (0,) else None
                return again(func.value, context, (ANY, *rest), depth) if rest is not None else ()
            if name == "values" and not node.args:
                return again(func.value, context, path or (ANY,), depth)
            if name in _ITEM_OF and (name != "pop" or not self._project.defines(name)):
                key = key_of(first) if first is not None and name != "choice" else ANY
                holder = first if name == "choice" and first is not None else func.value
                return again(holder, context, (key, *path), depth)
            if name == "copy" and not node.args:
                return again(func.value, context, path, depth)
        return None

    def _returns(self, context: Context, path: Path, depth: int) -> list[Origin]:
        """The origins of what a function returns, or yields."""
        scope = context.scope
        if isinstance(scope, ast.Lambda):
            return self.origins(scope.body, _at(context, scope.body), path, depth)
        found: list[Origin] = []
        for each in ast.walk(scope):
            if scope_around(each, context.file) is not scope:
                continue
            if isinstance(each, ast.Return) and each.value is not None:
                found += self.origins(each.value, _at(context, each), path, depth)
            elif isinstance(each, ast.Yield) and each.value is not None:
                found += self.origins(each.value, _at(context, each), path[1:], depth)
            elif isinstance(each, ast.YieldFrom):
                found += self.origins(each.value, _at(context, each), path, depth)
        return _each_once(found)


def _at(context: Context, use: ast.AST) -> Context:
    """The same call, at another statement."""
    made = Context(
        context.file, context.scope, use, context.entry, context.bound, context.receiver,
        context.space, context.function,
    )  # fmt: skip
    made.call = context.call
    return made


def _each_once(found: Iterable[Origin]) -> list[Origin]:
    return list({id(each.node): each for each in found}.values())
