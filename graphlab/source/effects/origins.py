"""Finds, for a variable or an attribute of a running program, the statements that store into it."""

from __future__ import annotations

import ast
import sys
import types
from types import CodeType, FrameType
from typing import Any

from graphlab.source.effects.stores import Store, last_part, stores, stores_named
from graphlab.source.evaluate import in_frame
from graphlab.source.files import UserFiles
from graphlab.source.objects import LOST, attribute, attributes, is_a, lookup
from graphlab.source.places import parse

_mro = type.__dict__["__mro__"].__get__


def classes_of(value: Any, files: UserFiles) -> list[tuple[str, str]]:
    """(file, name) of each class of an object that stands in the user's files, its own first."""
    found = []
    for kind in _mro(type(value)):
        for member in attributes(kind).values():
            code = getattr(member, "__code__", None) if type(member) is types.FunctionType else None
            if code is not None and code in files:
                found.append((code.co_filename, type.__dict__["__name__"].__get__(kind)))
                break
    return found


def loaded_files(files: UserFiles, frame: FrameType | None = None) -> list[str]:
    """The user's files that have been imported or are running."""
    found: dict[str, None] = {}
    while frame is not None:
        found[frame.f_code.co_filename] = None
        frame = frame.f_back
    for module in list(sys.modules.values()):
        if is_a(module, types.ModuleType):
            path = attributes(module).get("__file__")
            if type(path) is str and path.endswith(".py"):
                found[path] = None
    return [path for path in found if path in files]


def stores_of_attribute(holder: Any, name: str, files: UserFiles) -> list[Store]:
    """The stores into ``self.name`` in the classes of `holder`."""
    return [
        each
        for file, owner in classes_of(holder, files)
        for each in stores_named(file, name)
        if each.owner == owner
        and isinstance(each.target, ast.Attribute)
        and isinstance(each.holder, ast.Name)
    ]


def stores_from_outside(holder: str, name: str, where: list[str]) -> list[Store]:
    """The stores into the attribute `name` of what is called `holder`, by its last part, in the
    files `where`: ``model.fc = …`` for "fc" of "self.model"."""
    return [
        each
        for file in where
        for each in stores_named(file, name)
        if isinstance(each.target, ast.Attribute) and last_part(each.target.value) == holder
    ]


def stores_of_variable(code: CodeType, name: str) -> list[Store]:
    """The stores into a variable of the function with this code."""
    path = "" if code.co_name == "<module>" else code.co_qualname.replace("<locals>.", "")
    return [
        each
        for each in stores_named(code.co_filename, name)
        if each.function == path and _root(each.target) == name
    ]


def stores_behind(label: str, frame: FrameType, files: UserFiles) -> list[Store]:
    """The stores into what `frame` calls `label`: a variable, an attribute, or the item of a
    dictionary, ``stats["loss"]``. Numbers at the end, the items of a list, are left out."""
    try:
        node = ast.parse(label, mode="eval").body
    except SyntaxError:
        return _of_numbered(label, frame, files)
    while isinstance(node, ast.Subscript) and not _is_word(node.slice):
        node = node.value
    if isinstance(node, ast.Name):
        return _of_name(node.id, frame)
    if isinstance(node, ast.Subscript):
        key, outer = last_part(node), last_part(node.value)
        where = loaded_files(files, frame)
        return [
            each
            for file in where
            for each in stores(file)
            if isinstance(each.target, ast.Subscript)
            and last_part(each.target.value) == outer
            and (each.name == key or not _is_word(each.target.slice))
        ]
    if not isinstance(node, ast.Attribute):
        return []
    holder = in_frame(node.value, frame)
    found = stores_of_attribute(holder, node.attr, files) if holder is not LOST else []
    if holder is LOST or not found:
        where = loaded_files(files, frame)
        found += stores_from_outside(last_part(node.value), node.attr, where)
    return found


def _of_numbered(label: str, frame: FrameType, files: UserFiles) -> list[Store]:
    """The stores into an attribute behind a module's number, ``net.1.moving_mean``, which no
    expression can be."""
    first, *path = label.split(".")
    holder = lookup(first, frame.f_locals, frame.f_globals)
    for each in path[:-1]:
        holder = attribute(holder, each) if holder is not LOST else LOST
    return stores_of_attribute(holder, path[-1], files) if path and holder is not LOST else []


def _of_name(name: str, frame: FrameType) -> list[Store]:
    code = frame.f_code
    if code.co_name != "<module>" and lookup(name, frame.f_locals) is not LOST:
        return stores_of_variable(code, name)
    return [
        each
        for each in stores_named(code.co_filename, name)
        if _root(each.target) == name and _global(each, name)
    ]


def _global(store: Store, name: str) -> bool:
    """Whether a store into the bare `name`, or into what it holds, is one into the module's
    variable."""
    if not store.function:
        return True
    function = _function_of(store)
    inner = [*ast.walk(function)] if function is not None else []
    if any(isinstance(each, ast.Global) and name in each.names for each in inner):
        return True
    # ``history.append(loss)`` needs no `global`.
    bound = {each.id for each in inner if isinstance(each, ast.Name) and _binds(each)}
    given = {each.arg for each in inner if isinstance(each, ast.arg)}
    return bool(inner) and name not in bound | given


def _binds(node: ast.Name) -> bool:
    return not isinstance(node.ctx, ast.Load)


def _function_of(store: Store) -> ast.AST | None:
    found: ast.FunctionDef | ast.AsyncFunctionDef | None = None
    tree = parse(store.file)
    for each in ast.walk(tree) if tree is not None else ():
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            inside = each.lineno <= store.node.lineno <= (each.end_lineno or each.lineno)
            if inside and (found is None or each.lineno > found.lineno):
                found = each
    return found


def _innermost(node: ast.expr) -> ast.expr:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node


def _root(node: ast.expr) -> str:
    inner = _innermost(node)
    return inner.id if isinstance(inner, ast.Name) else ""


def _is_word(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is str
