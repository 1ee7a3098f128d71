"""Finds the line that made two names one object."""

from __future__ import annotations

import ast
from types import FrameType
from typing import Any

from graphlab.source.effects.origins import loaded_files, stores_behind, stores_of_attribute
from graphlab.source.effects.stores import Store, last_part, stores
from graphlab.source.files import UserFiles, user_frame
from graphlab.source.places import locate, parse, statement_at
from graphlab.trace.model import Location

# Methods of a module that return the module itself.
_SELF = ("to", "cuda", "cpu", "eval", "train", "float", "double", "half", "requires_grad_")


def line_of_union(one: str, other: str, frame: FrameType, files: UserFiles) -> Location | None:
    """Where `one` and `other`, as written in `frame`, became the same object; None if that cannot
    be told."""
    where: FrameType | None = frame
    while where is not None:
        outer = _arguments(where, (one, other), files)
        if outer is None:
            break
        where, (one, other) = outer
        if one == other:
            return locate(where.f_code, where.f_lasti)
    where = where or frame
    first, second = (stores_behind(each, where, files) for each in (one, other))
    return _in_stores(one, other, first, second, where, files)


def line_of_attributes(
    owner: Any, one: str, other: str, frame: FrameType, files: UserFiles
) -> Location | None:
    """Where two attributes of an object became the same; None if that cannot be told."""
    first, second = (stores_of_attribute(owner, each, files) for each in (one, other))
    return _in_stores(one, other, first, second, frame, files) or _from_outside(
        {one, other}, frame, files
    )


def _from_outside(names: set[str], frame: FrameType, files: UserFiles) -> Location | None:
    """The one ``self.model.target_net = self.model.net``, of an object of another class."""
    found = [
        each.at
        for file in loaded_files(files, frame)
        if file in files
        for each in stores(file)
        if isinstance(each.target, ast.Attribute)
        and isinstance(each.value, ast.Attribute)
        and {each.target.attr, each.value.attr} == names
        and ast.unparse(each.target.value) == ast.unparse(each.value.value)
    ]
    return found[0] if len(found) == 1 else None


def _in_stores(
    one: str,
    other: str,
    first: list[Store],
    second: list[Store],
    frame: FrameType,
    files: UserFiles,
) -> Location | None:
    first = [each for each in first if each.value is not None]
    second = [each for each in second if each.value is not None]
    for mine, theirs in ((first, other), (second, one)):
        for each in mine:
            if each.value is not None and _same(_text(each.value), theirs):
                return each.at
    for each in first:
        if any(each.value is mate.value for mate in second):
            return each.at
    for each in first:
        for mate in second:
            if each.value is None or mate.value is None:
                continue
            if ast.unparse(each.value) == ast.unparse(mate.value) and _is_variable(each.value):
                return max(each, mate, key=lambda store: store.node.lineno).at
            found = _constructed(each, mate, frame, files)
            if found is not None:
                return found
    return None


def _text(value: ast.expr) -> str:
    """The variable behind ``copy.copy(model).eval()``, or what is left of ``given or model``."""
    if isinstance(value, ast.BoolOp) and isinstance(value.op, ast.Or):
        value = value.values[-1]
    while isinstance(value, ast.Call):
        name = last_part(value.func)
        if isinstance(value.func, ast.Attribute) and name in _SELF:
            value = value.func.value
        elif name == "copy" and len(value.args) == 1:
            value = value.args[0]
        else:
            return ""
    return ast.unparse(value)


def _same(text: str, other: str) -> bool:
    return bool(text) and text.rsplit(".", 1)[-1] == other.rsplit(".", 1)[-1]


def _is_variable(node: ast.expr) -> bool:
    return isinstance(node, ast.Name | ast.Attribute)


def _constructed(one: Store, other: Store, frame: FrameType, files: UserFiles) -> Location | None:
    """The call that handed one object to two arguments of the constructor in which both are
    stored: ``Agent(net, net)``."""
    if one.function != other.function or not one.owner:
        return None
    names = (_text(one.value or one.target), _text(other.value or other.target))
    for file in loaded_files(files, frame):
        tree = parse(file)
        for node in ast.walk(tree) if tree is not None else ():
            if isinstance(node, ast.Call) and last_part(node.func) == one.owner:
                given = [_given(node, name, one, 1) for name in names]
                if given[0] is not None and given[0] == given[1]:
                    return one.at_node(node) if file == one.file else None
    return None


def _given(call: ast.Call, name: str, store: Store, skipped: int) -> str | None:
    """What a call hands to the parameter `name` of the function that `store` is in."""
    tree = parse(store.file)
    for each in ast.walk(tree) if tree is not None else ():
        if not isinstance(each, ast.FunctionDef) or each.name != store.function.rsplit(".", 1)[-1]:
            continue
        if not each.lineno <= store.node.lineno <= (each.end_lineno or 0):
            continue
        return _argument(call, name, [a.arg for a in each.args.args][skipped:])
    return None


def _argument(call: ast.Call, name: str, parameters: list[str]) -> str | None:
    for word in call.keywords:
        if word.arg == name:
            return ast.unparse(word.value)
    at = parameters.index(name) if name in parameters else -1
    given = call.args[at] if 0 <= at < len(call.args) else None
    return ast.unparse(given) if given is not None and _is_variable(given) else None


def _arguments(
    frame: FrameType, names: tuple[str, str], files: UserFiles
) -> tuple[FrameType, tuple[str, str]] | None:
    """The caller, and what it calls these two arguments of the function of `frame`; None where they
    are not arguments, or that cannot be told."""
    code = frame.f_code
    parameters = list(code.co_varnames[: code.co_argcount])
    caller = user_frame(frame.f_back, files)
    if caller is None or not set(names) <= set(parameters):
        return None
    statement = statement_at(caller.f_code.co_filename, caller.f_lineno)
    for node in ast.walk(statement) if statement is not None else ():
        if isinstance(node, ast.Call) and last_part(node.func) == code.co_name:
            bound = parameters[1:] if parameters[:1] == ["self"] else parameters
            given = [_argument(node, name, bound) for name in names]
            if given[0] is not None and given[1] is not None:
                return caller, (given[0], given[1])
    return None
