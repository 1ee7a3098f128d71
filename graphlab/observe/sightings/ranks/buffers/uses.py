"""Reads from a module's class how it writes to a buffer in training, and what computes with it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from graphlab.source.files import UserFiles
from graphlab.source.places import parse, place
from graphlab.source.vocabulary import FACTS, NOT_WRITERS, SIZES
from graphlab.source.wording import variable_behind
from graphlab.trace.ranks.sightings import BufferWrite
from graphlab.trace.values import Location

SAVED = ("__init__", "_load_from_state_dict", "load_state_dict", "reset_parameters")
# These read running statistics in evaluation alone.
_STATISTICS = ("batch_norm", "instance_norm")
# What leaves for a log.
_NUMBERS = ("item", "tolist", "numpy")


@dataclass(frozen=True, slots=True)
class Uses:
    """The first line that computes with a buffer, and the writes. grows: whether one makes the new
    value out of the old one, as a moving average does."""

    at: Location | None
    writes: tuple[BufferWrite, ...]
    grows: bool


def uses_of(module: Any, name: str, files: UserFiles) -> Uses:
    """Of the buffer `name` of `module`, in what its forward runs of its class in training."""
    used: Location | None = None
    writes: list[BufferWrite] = []
    grows = False
    for file, method, statement in _running(module, files):
        target, own, given = written(statement)
        if target == name:
            read, names = read_of(given), names_in(given)
            grows = grows or own or name in read
            read |= read_of(assigned_to(names, method))
            at = place(statement, file)
            writes.append(BufferWrite(at, words_of(statement), tuple(sorted(read)), bool(names)))
        elif target is None and used is None and name in computed_with(statement):
            used = place(statement, file)
    return Uses(used, tuple(writes), grows)


def methods_of(kind: type, files: UserFiles) -> dict[str, tuple[str, ast.FunctionDef]]:
    """The methods of a class and its bases that stand in the program's files, and the files."""
    methods: dict[str, tuple[str, ast.FunctionDef]] = {}
    for base in reversed(kind.__mro__):
        found = next((each for each in vars(base).values() if isinstance(each, FunctionType)), None)
        file = found.__code__.co_filename if found is not None else ""
        if found is None or found.__code__ not in files:
            continue
        for node in ast.walk(parse(file) or ast.Module([], [])):
            if isinstance(node, ast.ClassDef) and node.name == base.__name__:
                own = [each for each in node.body if isinstance(each, ast.FunctionDef)]
                methods.update((each.name, (file, each)) for each in own)
    return methods


def _running(module: Any, files: UserFiles) -> Iterator[tuple[str, ast.FunctionDef, ast.stmt]]:
    """The simple statements that a forward in training may run in methods of the class, and in the
    methods that these call; the file and the method of each."""
    methods = methods_of(type(module), files)
    waiting, seen = ["forward"], {*SAVED}
    while waiting:
        name = waiting.pop()
        if name in seen or name not in methods:
            continue
        seen.add(name)
        file, method = methods[name]
        for statement in in_training(method.body):
            yield file, method, statement
            waiting += [
                each.func.attr
                for each in ast.walk(statement)
                if isinstance(each, ast.Call) and (own_attribute(each.func) is not None)
                and isinstance(each.func, ast.Attribute)
            ]  # fmt: skip


def in_training(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The innermost statements, less what ``self.training`` rules out."""
    for each in body:
        if isinstance(each, ast.If):
            training = _asks_training(each.test)
            yield from in_training(each.body) if training is not False else ()
            yield from in_training(each.orelse) if training is not True else ()
        elif isinstance(each, ast.With | ast.For | ast.While | ast.Try):
            yield from in_training(each.body)
        elif not isinstance(each, ast.FunctionDef | ast.ClassDef):
            yield each


def _asks_training(test: ast.expr) -> bool | None:
    """What a condition is in training, if ``self.training`` decides it."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        found = _asks_training(test.operand)
        return None if found is None else not found
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        return True if any(_asks_training(each) for each in test.values) else None
    return True if own_attribute(test) == "training" else None


def written(statement: ast.stmt) -> tuple[str | None, bool, list[ast.expr]]:
    """The buffer that a statement writes to, whether by what makes the new value out of the old
    one, and what else goes into it."""
    if isinstance(statement, ast.AugAssign):
        return own_attribute(variable_behind(statement.target)), True, [statement.value]
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        return own_attribute(variable_behind(statement.targets[0])), False, [statement.value]
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call):
        return None, False, []
    if isinstance(call.func, ast.Name) and call.args:
        # A helper that is given the buffer first, and whose result is not asked for.
        return own_attribute(variable_behind(call.args[0])), True, call.args[1:]
    names: set[str] = set()
    given: list[ast.expr] = []
    inner: ast.expr = call
    while isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
        names.add(inner.func.attr)
        given += [*inner.args, *(each.value for each in inner.keywords)]
        inner = inner.func.value
    writes = {each for each in names - NOT_WRITERS if each.endswith("_")}
    if not writes:
        return None, False, []
    return (
        own_attribute(variable_behind(call)),
        bool(writes - {"copy_", "fill_", "zero_", "set_"}),
        given,
    )


def own_attribute(node: ast.AST) -> str | None:
    """The attribute of ``self`` that an expression is."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.attr if node.value.id == "self" else None
    return None


def _in(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    for node in nodes:
        yield from ast.walk(node)


def read_of(nodes: Iterable[ast.AST]) -> set[str]:
    return {name for each in _in(nodes) if (name := own_attribute(each)) is not None}


def names_in(nodes: Iterable[ast.AST]) -> set[str]:
    return {each.id for each in _in(nodes) if isinstance(each, ast.Name) and each.id != "self"}


def assigned_to(names: set[str], method: ast.FunctionDef) -> Iterator[ast.expr]:
    """What a method assigns to variables of these names."""
    for each in ast.walk(method):
        if isinstance(each, ast.Assign) and names & names_in(each.targets):
            yield each.value


def computed_with(node: ast.AST) -> set[str]:
    """The attributes of ``self`` with whose values an expression or statement computes."""
    if isinstance(node, ast.Return) and node.value is not None:
        # One that is handed out as it is may be for a log.
        parts = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
        return {
            name for each in parts if own_attribute(each) is None for name in computed_with(each)
        }
    if isinstance(node, ast.IfExp) and (training := _asks_training(node.test)) is not None:
        return computed_with(node.body if training else node.orelse)
    if isinstance(node, ast.Attribute) and node.attr in FACTS:
        return set()
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
        if name in SIZES or name in _NUMBERS or name.endswith(_STATISTICS):
            return set()
    own = own_attribute(node)
    if own is not None:
        return {own}
    return {name for each in ast.iter_child_nodes(node) for name in computed_with(each)}


def words_of(statement: ast.stmt) -> str:
    call = statement.value if isinstance(statement, ast.Expr) else None
    if isinstance(call, ast.Call):
        return f"{ast.unparse(call.func)}()" if isinstance(call.func, ast.Name) else _chain(call)
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    target = statement.target if isinstance(statement, ast.AugAssign) else target
    return f"{ast.unparse(target)} = …" if target is not None else ""


def _chain(call: ast.Call) -> str:
    """The first call of a chain, without its arguments: ``self.count.mul_()``."""
    inner = call
    while isinstance(inner.func, ast.Attribute) and isinstance(inner.func.value, ast.Call):
        inner = inner.func.value
    return f"{ast.unparse(inner.func)}()"
