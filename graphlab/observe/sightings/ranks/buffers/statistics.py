"""Reads from a class which of its attributes are running statistics that its results depend on."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from graphlab.observe.sightings.ranks.buffers.uses import (
    SAVED,
    assigned_to,
    computed_with,
    in_training,
    methods_of,
    names_in,
    own_attribute,
    read_of,
    words_of,
    written,
)
from graphlab.source.files import UserFiles
from graphlab.source.places import place
from graphlab.trace.ranks.sightings import BufferWrite
from graphlab.trace.values import Location

# In-place methods that make a new value out of the old one, and functions of torch's that do.
_MOVE = {"mul_", "add_", "sub_", "div_", "lerp_", "addcmul_", "addcdiv_", "index_add_"}
_MOVE |= {each.removesuffix("_") for each in _MOVE}
# What makes one value of a batch's many.
_REDUCE = {"mean", "sum", "var", "std", "var_mean", "std_mean", "bincount", "average", "nanmean"}
# The same on every rank.
_CONSTANTS = {"zeros", "ones", "full", "eye", "empty", "tensor", "arange", "linspace"}


@dataclass(frozen=True, slots=True)
class Statistic:
    """The first line that mixes it with other values into a result of a method, and its writes.
    reduces: whether a mean or the like of a batch goes into it; constant: whether the constructor
    gives it numbers that the source names."""

    used: Location
    writes: tuple[BufferWrite, ...]
    reduces: bool
    constant: bool


def statistics_of(kind: type, files: UserFiles) -> dict[str, Statistic]:
    """By the names of the attributes, in the order in which the source writes to them."""
    methods = methods_of(kind, files)
    own = {name: each for name, each in methods.items() if name not in SAVED}
    writes: dict[str, list[BufferWrite]] = {}
    moving: set[str] = set()
    reducing: set[str] = set()
    for file, method in own.values():
        for statement in in_training(method.body):
            for name, in_place, given in _written(statement):
                values = [*given, *_behind(given, method)]
                read = read_of(values)
                at = place(statement, file)
                data = bool(names_in(given))
                write = BufferWrite(at, words_of(statement), tuple(sorted(read)), data)
                writes.setdefault(name, []).append(write)
                if in_place or any(_moved(each, name) for each in values):
                    moving.add(name)
                if any(_reduces(each) for each in values):
                    reducing.add(name)
    found: dict[str, Statistic] = {}
    for name in writes:
        uses = (_used(name, file, method) for file, method in own.values())
        used = next((each for each in uses if each is not None), None)
        if name in moving and used is not None:
            constant = "__init__" in methods and _is_constant(name, methods["__init__"][1])
            found[name] = Statistic(used, tuple(writes[name]), name in reducing, constant)
    return found


def _written(statement: ast.stmt) -> Iterator[tuple[str, bool, list[ast.expr]]]:
    """The attributes that a statement writes to, as `written` has them, and several at once."""
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    if isinstance(statement, ast.Assign) and isinstance(target, ast.Tuple):
        for each in target.elts:
            if (name := own_attribute(each)) is not None:
                yield name, False, [statement.value]
        return
    name, in_place, given = written(statement)
    call = statement.value if isinstance(statement, ast.Expr) else None
    if name is None or (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
        return
    if in_place and isinstance(call, ast.Call):
        in_place = bool(_MOVE & _methods_in(call))
    yield name, in_place, given


def _methods_in(node: ast.AST) -> set[str]:
    return {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}


def _behind(given: list[ast.expr], method: ast.FunctionDef) -> list[ast.expr]:
    """What the method has assigned to the variables in `given`, and to those in that."""
    first = [*assigned_to(names_in(given), method)]
    return [*first, *assigned_to(names_in(first) - names_in(given), method)]


def _moved(value: ast.expr, name: str) -> bool:
    """Whether a value is made of the attribute by arithmetic: ``m * self.mean + …``."""
    for each in ast.walk(value):
        if isinstance(each, ast.BinOp) and name in {_bare(each.left), _bare(each.right)}:
            return True
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute):
            operands = (each.func.value, *each.args[:1])
            if each.func.attr in _MOVE and name in {*map(_bare, operands)}:
                return True
        # ``self.mean, self.var = update_moments(self.mean, self.var, …)``
        given = each.args if isinstance(each, ast.Call) and isinstance(each.func, ast.Name) else []
        if len(given) > 1 and name in {*map(_bare, given)}:
            return True
    return False


def _bare(node: ast.expr) -> str | None:
    """The attribute that an operand is, or an item of."""
    while isinstance(node, ast.Subscript):
        node = node.value
    return own_attribute(node)


def _reduces(value: ast.expr) -> bool:
    calls = (each for each in ast.walk(value) if isinstance(each, ast.Call))
    return any(isinstance(each.func, ast.Attribute) and each.func.attr in _REDUCE for each in calls)


def _used(name: str, file: str, method: ast.FunctionDef) -> Location | None:
    """The first statement that mixes the attribute with what the method was given, where that
    makes what the method returns."""
    arguments = method.args
    data = {each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    data -= {"self"}
    carries: set[str] = set()
    mixed: set[str] = set()
    first: Location | None = None
    for statement in in_training(method.body):
        if any(True for _ in _written(statement)):
            continue
        value = getattr(statement, "value", None)
        if not isinstance(value, ast.expr):
            continue
        names = names_in([value])
        what = statement if isinstance(statement, ast.Return) else value
        touches = name in computed_with(what) or bool(names & carries)
        mixes = bool(names & mixed) or (touches and bool(names & data))
        if mixes and first is None:
            first = place(statement, file)
        if isinstance(statement, ast.Return):
            if mixes:
                return first
            continue
        targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
        bound = names_in([each for each in targets if isinstance(each, ast.expr)])
        for into, holds in ((mixed, mixes), (carries, touches), (data, bool(names & data))):
            if holds:
                into |= bound
    return None


def _is_constant(name: str, constructor: ast.FunctionDef) -> bool:
    """Whether the constructor makes an attribute of a function such as torch.zeros()."""
    for each in ast.walk(constructor):
        value: ast.expr | None = None
        if isinstance(each, ast.Assign) and name in {own_attribute(one) for one in each.targets}:
            value = each.value
        elif isinstance(each, ast.Call) and ast.unparse(each.func) == "self.register_buffer":
            given = each.args[:2]
            named = given and isinstance(given[0], ast.Constant) and given[0].value == name
            value = given[1] if named and len(given) > 1 else None
        if isinstance(value, ast.Call):
            function = value.func
            return isinstance(function, ast.Attribute) and function.attr in _CONSTANTS
    return False
