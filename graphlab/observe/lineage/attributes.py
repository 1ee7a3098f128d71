"""Finds the functions that gave a variable its value from elsewhere: other methods of a class, and
forward hooks."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import Any

from graphlab.observe.lineage.callee import closed_over, entered
from graphlab.observe.names import parameters_in, submodules
from graphlab.observe.tensors import is_module, requires_grad
from graphlab.source.effects.assignments import scope_of
from graphlab.source.effects.origins import classes_of
from graphlab.source.effects.stores import Store, stores
from graphlab.source.files import UserFiles
from graphlab.source.objects import attributes, items, static
from graphlab.source.places import parse


@dataclass(frozen=True, slots=True)
class Stored:
    """A store in another function. holder: what its `self` is. hooked: the modules whose output it
    is given, as their forward hook. trained: whether these are in a network that is not frozen."""

    store: Store
    function: Any
    holder: Any
    hooked: tuple[Any, ...]
    trained: bool = False

    @property
    def scope(self) -> ast.FunctionDef | None:
        code = self.function.__code__
        found = scope_of(parse(code.co_filename), code.co_firstlineno, code.co_name)
        return found if isinstance(found, ast.FunctionDef) else None


def stored_elsewhere(
    holder: Any, name: str, scope: ast.AST | None, values: dict[str, Any], files: UserFiles
) -> Iterator[Stored]:
    """The stores into the attribute `name` of `holder`, or into what a variable of this name holds,
    outside of `scope`: not those of a constructor, nor those that clear it."""
    inside = range(getattr(scope, "lineno", 0), (getattr(scope, "end_lineno", 0) or 0) + 1)
    # An object that trains keeps its networks in attributes.
    kept = dict.values(attributes(values.get("self"))) if not is_module(values.get("self")) else ()
    roots = [each for each in (holder, *values.values(), *kept) if is_module(each)]
    hooks = [*_hooks(roots)]
    for file in {code.co_filename for _, function, _, _ in hooks if (code := function.__code__)} | {
        file for file, _ in classes_of(holder, files)
    }:
        for each in stores(file) if file in files else ():
            if each.node.lineno in inside or not _into(each, name, holder is not None):
                continue
            given = [one for one in hooks if _within(each, one[1])]
            # Several objects may have hung up the same hook, each for itself.
            given = [one for one in given if _of(holder, one[1], one[2])] or given
            if given:
                modules = tuple(module for module, _, _, _ in given)
                around = parameters_in(*(root for _, _, _, root in given))
                trained = any(requires_grad(one) for one in around)
                yield Stored(each, given[0][1], given[0][2], modules, trained)
            elif (file, each.owner) in classes_of(holder, files):
                last = each.function.rsplit(".", 1)[-1]
                _, function = entered(static(type(holder), last))
                if function is not None and last != "__init__" and _within(each, function):
                    yield Stored(each, function, holder, ())


def _of(holder: Any, function: Any, owner: Any) -> bool:
    """Whether the `self` of a hook, its own or its closure's, is `holder`."""
    return holder is None or (owner or closed_over(function).get("self", holder)) is holder


def _hooks(roots: list[Any]) -> Iterator[tuple[Any, FunctionType, Any, Any]]:
    """(module, function, what its `self` is, the network around it) of each forward hook."""
    seen: set[int] = set()
    for root in roots:
        for _, each in submodules(root):
            if id(each) in seen:
                continue
            seen.add(id(each))
            for _, hook in items(attributes(each).get("_forward_hooks")):
                _, function = entered(hook)
                if function is not None:
                    owner = hook.__self__ if type(hook) is MethodType else None
                    yield each, function, owner, root


def _into(store: Store, name: str, attribute: bool) -> bool:
    """Whether a store puts a value into ``self.name``, or into what the variable `name` holds."""
    if store.value is None or isinstance(store.value, ast.Constant):
        return False
    target = store.target
    while isinstance(target, ast.Subscript):
        target = target.value
    if attribute:
        return isinstance(target, ast.Attribute) and target.attr == name
    return isinstance(target, ast.Name) and target.id == name and target is not store.target


def _within(store: Store, function: FunctionType) -> bool:
    code = function.__code__
    scope = scope_of(parse(code.co_filename), code.co_firstlineno, code.co_name)
    last = getattr(scope, "end_lineno", 0) or 0
    return store.file == code.co_filename and code.co_firstlineno <= store.node.lineno <= last
