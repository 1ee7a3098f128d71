"""Reads from source which statements give a variable, an attribute or an item its value."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

from graphlab.source.places import parse

# A step of a path that stands for any item of a list, dictionary or iterator.
ANY: Final = "*"

Step = str | int
Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

# Methods that put their last argument into what they are called on.
_PUT_IN = {"append", "appendleft", "add", "insert", "put", "push", "put_nowait", "setdefault"}
# Methods that give an item of what they are called on.
_KEPT = {"setdefault", "get"}
_PUT_ALL = {"extend", "extendleft"}
_REGISTER = {"register_buffer", "register_parameter", "add_module", "register_module"}


class Binding(NamedTuple):
    """A statement that gives `target` the part `take` of `value`, or puts it into the part `put`
    of `target`. `value` is the statement itself for an augmented assignment."""

    target: ast.expr
    value: ast.AST
    take: tuple[Step, ...]
    put: tuple[Step, ...]
    node: ast.AST


def parents(file: str) -> dict[ast.AST, ast.AST]:
    """Each syntax node's parent."""
    return _parents(parse(file))


# By the tree, not the file: a file that is parsed again has other nodes.
@lru_cache(maxsize=256)
def _parents(tree: ast.Module | None) -> dict[ast.AST, ast.AST]:
    nodes = ast.walk(tree) if tree is not None else ()
    return {child: node for node in nodes for child in ast.iter_child_nodes(node)}


def around(node: ast.AST, file: str) -> Iterator[ast.AST]:
    """The nodes around one, the innermost first."""
    above = parents(file)
    here = above.get(node)
    while here is not None:
        yield here
        here = above.get(here)


def scope_around(node: ast.AST, file: str) -> ast.AST:
    """The function, lambda or module that a node is in."""
    last = node if isinstance(node, ast.Module) else parse(file) or node
    for each in around(node, file):
        last = each
        if isinstance(each, (*FUNCTIONS, ast.Lambda)):
            return each
    return last


def class_around(node: ast.AST | None, file: str) -> ast.ClassDef | None:
    """The class that a method is defined in."""
    found = parents(file).get(node) if node is not None else None
    return found if isinstance(found, ast.ClassDef) else None


def bindings(file: str) -> dict[str, list[tuple[ast.AST, Binding]]]:
    """(scope, binding) of a file, by the last word of what is bound: ``h`` for a variable,
    ``.h`` for an attribute of anything."""
    return _bindings(parse(file), file)


@lru_cache(maxsize=256)
def _bindings(tree: ast.Module | None, file: str) -> dict[str, list[tuple[ast.AST, Binding]]]:
    found: dict[str, list[tuple[ast.AST, Binding]]] = {}
    for node in ast.walk(tree) if tree is not None else ():
        for each in _of(node):
            word = word_of(each.target)
            if word:
                found.setdefault(word, []).append((scope_around(node, file), each))
    return found


def word_of(target: ast.AST) -> str:
    """The key of `bindings` for a target; "" where there is none."""
    if isinstance(target, ast.Name):
        return target.id
    return f".{target.attr}" if isinstance(target, ast.Attribute) else ""


def _of(node: ast.AST) -> Iterator[Binding]:
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _unpacked(target, node.value, (), node)
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr):
        if node.value is not None:
            yield from _unpacked(node.target, node.value, (), node)
    elif isinstance(node, ast.AugAssign):
        holder, put = _into(node.target)
        yield Binding(holder, node, (), put, node)
    elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
        yield from _unpacked(node.target, node.iter, (ANY,), node)
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        yield from _unpacked(node.optional_vars, node.context_expr, (), node)
    elif isinstance(node, ast.Call):
        yield from _called(node)


def _unpacked(
    target: ast.expr, value: ast.AST, take: tuple[Step, ...], node: ast.AST
) -> Iterator[Binding]:
    if isinstance(target, ast.Tuple | ast.List):
        starred = False
        for at, each in enumerate(target.elts):
            starred = starred or isinstance(each, ast.Starred)
            inner = each.value if isinstance(each, ast.Starred) else each
            yield from _unpacked(inner, value, (*take, ANY if starred else at), node)
        return
    holder, put = _into(target)
    yield Binding(holder, value, take, put, node)


def _into(target: ast.expr) -> tuple[ast.expr, tuple[Step, ...]]:
    """``d`` and ("k",) for ``d["k"]``."""
    put: tuple[Step, ...] = ()
    while True:
        if isinstance(target, ast.Subscript):
            put = (key_of(target.slice), *put)
            target = target.value
        elif isinstance(target, ast.Call) and getattr(target.func, "attr", "") in _KEPT:
            put = (key_of(target.args[0]) if target.args else ANY, *put)
            target = target.func.value  # type: ignore[attr-defined]
        else:
            return target, put


def key_of(node: ast.expr) -> Step:
    """A constant key or index, else ANY."""
    value = node.value if isinstance(node, ast.Constant) else None
    return value if type(value) is int or type(value) is str else ANY


def _called(node: ast.Call) -> Iterator[Binding]:
    func = node.func
    if isinstance(func, ast.Name) and func.id == "setattr" and len(node.args) == 3:
        name = node.args[1]
        if isinstance(name, ast.Constant) and type(name.value) is str:
            yield Binding(ast.Attribute(node.args[0], name.value), node.args[2], (), (), node)
        return
    if not isinstance(func, ast.Attribute):
        return
    if func.attr in _REGISTER and len(node.args) >= 2:
        name = node.args[0]
        if isinstance(name, ast.Constant) and type(name.value) is str:
            yield Binding(ast.Attribute(func.value, name.value), node.args[1], (), (), node)
        return
    holder, put = _into(func.value)
    if func.attr in _PUT_IN and node.args:
        yield Binding(holder, node.args[-1], (), (*put, ANY), node)
    elif func.attr in _PUT_ALL and node.args:
        yield Binding(holder, node.args[0], (ANY,), (*put, ANY), node)
    elif func.attr == "update":
        for each in node.args:
            yield Binding(holder, each, (ANY,), (*put, ANY), node)
        for word in node.keywords:
            if word.arg is not None:
                yield Binding(holder, word.value, (), (*put, word.arg), node)


def fits(put: tuple[Step, ...], path: tuple[Step, ...]) -> tuple[Step, ...] | None:
    """What is left of `path` inside of what was put at `put`; None if it is another part. A path
    that ends above `put` asks for a container of it."""
    for at, step in enumerate(put):
        if at >= len(path):
            return ()
        if step != path[at] and ANY not in (step, path[at]):
            return None
    return path[len(put) :]


def arguments(call: ast.Call, function: Any, method: bool) -> dict[str, tuple[Any, tuple]]:
    """The expression given for each parameter of `function`, and the part of it."""
    told = function.args
    names = [each.arg for each in (*told.posonlyargs, *told.args)]
    names = names[1:] if method else names
    found: dict[str, tuple[Any, tuple[Step, ...]]] = {}
    spread = None
    for at, each in enumerate(call.args):
        if isinstance(each, ast.Starred):
            spread = each.value
            break
        if at < len(names):
            found[names[at]] = each, ()
    for word in call.keywords:
        if word.arg is not None:
            found[word.arg] = word.value, ()
        else:
            for name in (*names, *(each.arg for each in told.kwonlyargs)):
                found.setdefault(name, (word.value, (name,)))
    if spread is not None:
        first = next(at for at, each in enumerate(call.args) if isinstance(each, ast.Starred))
        only = first == len(call.args) - 1
        for at, name in enumerate(names[first:]):
            found.setdefault(name, (spread, (at if only else ANY,)))
    if told.vararg is not None and spread is None:
        found[told.vararg.arg] = ast.Tuple(list(call.args[len(names) :]), ast.Load()), ()
    if told.kwarg is not None:
        more = [each for each in call.keywords if each.arg not in (None, *names)]
        keys: list[Any] = [ast.Constant(each.arg) for each in more]
        found[told.kwarg.arg] = ast.Dict(keys, [each.value for each in more]), ()
    defaults = [*told.posonlyargs, *told.args][-len(told.defaults) :] if told.defaults else []
    for each, value in zip(defaults, told.defaults, strict=False):
        found.setdefault(each.arg, (value, ()))
    for each, value in zip(told.kwonlyargs, told.kw_defaults, strict=False):
        if value is not None:
            found.setdefault(each.arg, (value, ()))
    return found
