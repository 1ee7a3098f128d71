"""Finds what a function of the user's returned to a library, which made it its loss, and the names
that the function knew."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from types import CodeType, FrameType, MethodType
from typing import Any, NamedTuple

import torch

from graphlab.observe.graph.walk import grad_edge, leaf_of, listed, operation, sequence
from graphlab.observe.lineage.callee import entered
from graphlab.observe.lineage.cut import argument_of
from graphlab.observe.lineage.reader import Lineage
from graphlab.observe.lineage.trail import Trail
from graphlab.observe.names import Names
from graphlab.observe.notes import Log, Spot
from graphlab.observe.tensors import count_of, is_leaf, is_parameter, is_tensor, requires_grad
from graphlab.source.effects.assignments import assignments_in, scope_of, target_names
from graphlab.source.effects.stores import last_part
from graphlab.source.evaluate import in_frame
from graphlab.source.files import UserFiles, user_frames
from graphlab.source.objects import LOST, attributes, static, variables
from graphlab.source.places import locate, nodes_of, parse, statement_at
from graphlab.source.wording import THE_LOSS, short

TORCH = os.path.join(os.path.dirname(torch.__file__), "")
# How many marks are looked through for what was returned, and how many nodes a library may have put
# on top of it: a loss is divided by the number of accumulated batches, scaled, or moved.
_MARKS, _ON_TOP = 2_000, 4
_SCALES = ("Div", "Mul", "ToCopy", "Clone", "Alias", "View", "Squeeze", "Mean")


class Returned(NamedTuple):
    """What a function of the user's returned to a library: the expression at `line`, and the spot
    of the statement that made its value."""

    code: CodeType
    node: ast.expr
    key: bool
    line: int
    spot: Spot

    @property
    def text(self) -> str:
        plain = isinstance(self.node, ast.Name | ast.Attribute | ast.Subscript)
        # ``{"loss": a + b}`` says what it is.
        return "loss" if self.key and not plain else short(self.node)


def handed_over(frame: FrameType, log: Log, files: UserFiles) -> Returned | None:
    """What the user's function returned that a library now runs the backward of, in `frame`."""
    running = {id(each.f_code) for each in user_frames(frame.f_back, files)}
    values = frame.f_locals
    roots = listed(values.get("tensors", values.get("outputs")))
    if len(roots) != 1 or not is_tensor(roots[0]) or log.no_counter:
        return None
    made: int | None = None
    for node in below(roots[0]):
        mark = log.mark_of(sequence(node))
        if mark is not None and mark.code is not None and id(mark.code) not in running:
            made = sequence(node)
            break
    if made is None and requires_grad(roots[0]) and leaf_below(roots[0]) is None:
        # A loss that the library computed.
        return None
    for begin, end, first, last in _calls(log, running):
        if made is not None and not first <= made < last:
            continue
        found = _return_at(log, begin, end)
        if found is not None and (made is not None or _says_loss(found)):
            return found
    return None


def leaf_below(root: Any) -> Any:
    """The leaf that a backward's root is, or is made of by a library alone; None if there is none,
    or if it is a parameter."""
    leaf = root if is_leaf(root) else next(filter(None, map(leaf_of, below(root))), None)
    mine = leaf is not None and not is_parameter(leaf) and count_of(leaf) == 1
    return leaf if mine else None


def below(root: Any) -> Iterator[Any]:
    """The node of a backward's root, and those that a library may have put that on top of."""
    edge = grad_edge(root)
    for _ in range(_ON_TOP):
        if edge is None:
            return
        yield edge
        if not operation(edge).startswith(_SCALES):
            return
        inner = [each for each, _ in edge.next_functions if each is not None]
        edge = inner[0] if len(inner) == 1 else None


def _calls(log: Log, running: set[int]) -> Iterator[tuple[int, int, int, float]]:
    """The last calls of the user's functions by a library, which have ended: the places of their
    first and last mark, and the counts of nodes at their begin and end. The last call first."""
    marks = log.marks
    at, lowest = len(marks) - 1, max(0, len(marks) - _MARKS)
    while at > lowest:
        code = marks[at][1]
        if code is None or id(code) in running:
            at -= 1
            continue
        end = at
        while (
            at > lowest and (before := marks[at - 1][1]) is not None and id(before) not in running
        ):
            at -= 1
        yield at, end, marks[at][0], marks[end + 1][0] if end + 1 < len(marks) else float("inf")
        at -= 1


def _return_at(log: Log, begin: int, end: int) -> Returned | None:
    """The return that the marks of one call end with."""
    _, code, offset, _ = log.marks[end]
    assert code is not None
    at = locate(code, offset)
    statement = statement_at(at.file, at.line)
    if not isinstance(statement, ast.Return) or statement.value is None:
        return None
    node, key = _loss_of(statement.value)
    spot = code, offset
    if isinstance(node, ast.Name):
        for place in range(end, begin - 1, -1):
            _, other, offset, _ = log.marks[place]
            if other is code and _assigns(code, offset, node.id):
                spot = code, offset
                break
    return Returned(code, node, key, at.line, spot)


def _assigns(code: CodeType, offset: int, name: str) -> bool:
    at = locate(code, offset)
    statement = statement_at(at.file, at.line)
    if isinstance(statement, ast.Assign):
        return any(name in target_names(each) for each in statement.targets)
    return isinstance(statement, ast.AugAssign | ast.AnnAssign) and (
        ast.unparse(statement.target) == name
    )


def _loss_of(node: ast.expr) -> tuple[ast.expr, bool]:
    """The loss in what is returned: the entry of that name, or a tuple's first. True: by name."""
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == "loss":
                return value, True
    if isinstance(node, ast.Call):
        for word in node.keywords:
            if word.arg == "loss":
                return word.value, True
    if isinstance(node, ast.Tuple) and node.elts:
        return _loss_of(node.elts[0])
    if isinstance(node, ast.IfExp):
        return _loss_of(node.orelse)
    return node, False


def _says_loss(found: Returned) -> bool:
    """Whether the function or what it returned is called a loss, or a step that gives one."""
    name, plain = found.code.co_name, not isinstance(found.node, ast.Dict | ast.Tuple | ast.List)
    told = found.text if plain and found.text != THE_LOSS else ""
    return found.key or "loss" in name or "loss" in told or name.endswith("_step")


def lineage_of_returned(
    found: Returned, frame: FrameType, files: UserFiles, trail: Trail
) -> Lineage:
    """The lineage of what the function computed, that a library now runs the backward of in
    `frame`."""
    code = found.code
    scope = scope_of(parse(code.co_filename), code.co_firstlineno, code.co_name)
    values = {**_globals(code), **_self(code, frame, files), **_given(code, frame, files)}
    return Lineage(code.co_filename, scope, code.co_qualname, values, files, trail=trail)


def _given(code: CodeType, frame: FrameType, files: UserFiles) -> dict[str, Any]:
    """What the user's function was given, which has returned, by the library's function that called
    it, where that is running still: the variables there that were not assigned since."""
    names = [*code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]]
    outer: FrameType | None = frame
    while (outer := outer.f_back) is not None:
        library = outer.f_code
        if library.co_filename.startswith(TORCH) or library in files:
            continue
        scope = scope_of(parse(library.co_filename), library.co_firstlineno, library.co_name)
        calls = [
            each
            for each in nodes_of(scope)
            if isinstance(each, ast.Call)
            and (last_part(each.func) == code.co_name or _runs(each.func, outer, code))
            and each.lineno < outer.f_lineno
        ]
        if calls:
            bound = names[1:] if names[:1] == ["self"] else names
            return _arguments(calls[0], bound, outer, scope) if len(calls) == 1 else {}
    return {}


def _runs(func: ast.expr, frame: FrameType, code: CodeType) -> bool:
    """Whether a library calls a function by a word of its own, such as ``loss_fn``."""
    function = entered(in_frame(func, frame))[1]
    return function is not None and function.__code__ is code


def _arguments(
    call: ast.Call, names: list[str], frame: FrameType, scope: ast.AST | None
) -> dict[str, Any]:
    found = {}
    for name in names:
        node = argument_of(call, name, names)
        if isinstance(node, ast.Name):
            later = assignments_in(scope, node.id, frame.f_lineno)
            value = in_frame(node, frame)
            if value is not LOST and all(each.lineno < call.lineno for each in later):
                found[name] = value
    return found


def _globals(code: CodeType) -> dict[str, Any]:
    """The variables of the module that a function is in."""
    for module in list(sys.modules.values()):
        if attributes(module).get("__file__") == code.co_filename:
            return variables(attributes(module))
    return {}


def _self(code: CodeType, frame: FrameType, files: UserFiles) -> dict[str, Any]:
    """`self` in a method that has returned: the object with that method that the frames hold."""
    first = code.co_varnames[:1]
    candidates = Names(files).gather(frame).held_modules()
    inner: FrameType | None = frame
    while inner is not None:
        if "self" in inner.f_code.co_varnames[:1]:
            candidates.append(inner.f_locals.get("self"))
        # A bound method that the library was handed.
        bound = [each for each in inner.f_locals.values() if type(each) is MethodType]
        candidates += [each.__self__ for each in bound if entered(each)[1] is not None]
        inner = inner.f_back
    fitting = {
        id(each): each
        for each in candidates
        if getattr(static(type(each), code.co_name), "__code__", None) is code
    }
    return {first[0]: next(iter(fitting.values()))} if first and len(fitting) == 1 else {}
