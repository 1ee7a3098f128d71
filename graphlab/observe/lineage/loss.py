"""Tells what the user calls the loss of a backward, and which line of theirs stands for it.

Where the user calls backward(), through a library or a helper of their own, it is what that call
is given. Where a library's loop does, it is what the user's function returned to the library.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any, NamedTuple

import torch

from graphlab.language import message
from graphlab.observe.graph.walk import grad_edge, listed, operation, sequence
from graphlab.observe.lineage.cut import caller_argument, find_cut
from graphlab.observe.lineage.reader import Lineage
from graphlab.observe.names import Names
from graphlab.observe.notes import Cut, Log, Spot
from graphlab.observe.tensors import count_of, is_tensor, requires_grad
from graphlab.source.effects.assignments import scope_of, target_names
from graphlab.source.evaluate import in_frame
from graphlab.source.files import UserFiles, user_frame
from graphlab.source.objects import LOST, attributes, static, variables
from graphlab.source.places import locate, parse, statement_at
from graphlab.source.wording import THE_LOSS, call_at, call_text, loss_in, short

_TORCH = os.path.join(os.path.dirname(torch.__file__), "")
# How many helpers of the user's an argument is followed out of, how many marks are looked through
# for what was returned, and how many nodes a library may have put on top of it: a loss is divided
# by the number of accumulated batches, scaled, or moved.
_HELPERS, _MARKS, _ON_TOP = 4, 2_000, 4
_SCALES = ("Div", "Mul", "ToCopy", "Clone", "Alias", "View", "Squeeze", "Mean")


class Called(NamedTuple):
    """Where a backward was called for the user, how they wrote it, and what they call the loss."""

    spot: Spot | None
    call: str
    loss: str


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


class LossNames:
    """Names the losses of backwards as they begin; an answer for a chain of callers is kept."""

    def __init__(self, log: Log, files: UserFiles) -> None:
        self._log, self._files = log, files
        self._known: dict[tuple[int, ...], Called | None] = {}
        # The codes of the keys, which are known by their identity.
        self._codes: list[CodeType] = []

    def name(self, frame: FrameType, is_grad: bool) -> Called:
        """Of the backward that runs in `frame`, autograd's own."""
        fallback = "torch.autograd.grad" if is_grad else "backward"
        frames = [*_users(frame.f_back, self._files)]
        if not frames:
            return Called(None, *call_text(None, fallback))
        key = tuple(part for each in frames for part in (id(each.f_code), each.f_lasti))
        if key not in self._known:
            self._codes += [each.f_code for each in frames]
            self._known[key] = self._written(frame, frames[0])
        known = self._known[key]
        if known is not None:
            return known
        call = call_text(locate(frames[0].f_code, frames[0].f_lasti), fallback)[0]
        found = handed_over(frame, self._log, self._files)
        if found is None:
            return Called(self._log.spots.of(frames[0]), call, THE_LOSS)
        return Called(found.spot, message("observed.by.backward_of", loss=found.text), found.text)

    def _written(self, frame: FrameType, user: FrameType) -> Called | None:
        spot = self._log.spots.of(user)
        call, node = written_in(frame, user)
        if call is None or node is None:
            return None
        outer, node = _climbed(user, node, self._files)
        func = ast.unparse(call.func)
        given = short(node) if not direct(frame.f_back, user) else ""
        return Called(spot, f"{func}({given})", short(node) if outer else ast.unparse(node))


def _users(frame: FrameType | None, files: UserFiles) -> Iterator[FrameType]:
    """The innermost frames of the user's."""
    for _ in range(_HELPERS):
        frame = user_frame(frame, files)
        if frame is None:
            return
        yield frame
        frame = frame.f_back


def direct(frame: FrameType | None, user: FrameType) -> bool:
    """Whether nothing but torch is between the user's frame and autograd."""
    while frame is not None and frame is not user:
        if not frame.f_code.co_filename.startswith(_TORCH):
            return False
        frame = frame.f_back
    return True


def written_in(frame: FrameType, user: FrameType) -> tuple[ast.Call | None, ast.expr | None]:
    """The call in the user's frame that runs the backward of `frame`, autograd's own, and the loss
    in it; None where that has none."""
    call = call_at(locate(user.f_code, user.f_lasti))
    if call is None:
        return None, None
    node = loss_in(call, direct(frame.f_back, user))
    if node is None:
        values = frame.f_locals
        roots = [each for each in listed(values.get("tensors", values.get("outputs")))]
        given = [*call.args, *(word.value for word in call.keywords)]
        fitting = [each for each in given if _stands_for(in_frame(each, user), roots)]
        node = fitting[0] if len(fitting) == 1 else None
    return call, node


def _stands_for(value: Any, roots: list[Any]) -> bool:
    """Whether it is a backward's root, or what a library made the only one of."""
    if not is_tensor(value):
        return False
    if any(value is each for each in roots):
        return True
    if len(roots) != 1 or count_of(value) != 1 or not requires_grad(value):
        return False
    edge = grad_edge(value)
    return edge is not None and edge in [*_below(roots[0])]


def _below(root: Any) -> Iterator[Any]:
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


def _climbed(user: FrameType, node: ast.expr, files: UserFiles) -> tuple[FrameType | None, Any]:
    """The frame outside the user's own helpers that handed the loss to them, and the expression
    there; (None, node) where the loss is no argument of a helper's."""
    outer = None
    for _ in range(_HELPERS):
        if not isinstance(node, ast.Name) or not _only_given(user, node.id):
            break
        found = caller_argument(user, node.id, files)
        if found is None:
            break
        value = in_frame(ast.parse(found[1], mode="eval").body, found[0])
        if value is not LOST and value is not in_frame(node, user):
            break
        outer = user = found[0]
        node = ast.parse(found[1], mode="eval").body
    return outer, node


def _only_given(frame: FrameType, name: str) -> bool:
    """Whether a variable of the frame is an argument that the function does not assign again."""
    code = frame.f_code
    scope = scope_of(parse(code.co_filename), code.co_firstlineno, code.co_name)
    given = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return name in given and not any(
        isinstance(each, ast.Name) and each.id == name and not isinstance(each.ctx, ast.Load)
        for each in (ast.walk(scope) if scope is not None else ())
    )


def handed_over(frame: FrameType, log: Log, files: UserFiles) -> Returned | None:
    """What the user's function returned that a library now runs the backward of, in `frame`."""
    running = {id(each.f_code) for each in _all_users(frame.f_back, files)}
    values = frame.f_locals
    roots = listed(values.get("tensors", values.get("outputs")))
    if len(roots) != 1 or not is_tensor(roots[0]) or log.no_counter:
        return None
    made: int | None = None
    for node in _below(roots[0]):
        mark = log.mark_of(sequence(node))
        if mark is not None and mark.code is not None and id(mark.code) not in running:
            made = sequence(node)
            break
    if made is None and requires_grad(roots[0]):
        # A loss that the library computed.
        return None
    for begin, end, first, last in _calls(log, running):
        if made is not None and not first <= made < last:
            continue
        found = _return_at(log, begin, end)
        if found is not None and (made is not None or _says_loss(found)):
            return found
    return None


def _all_users(frame: FrameType | None, files: UserFiles) -> Iterator[FrameType]:
    while (frame := user_frame(frame, files)) is not None:
        yield frame
        frame = frame.f_back


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
    name = found.code.co_name
    return found.key or "loss" in name or "loss" in found.text or name.endswith("_step")


def cut_of_loss(frame: FrameType, files: UserFiles, log: Log | None) -> Cut | None:
    """Where the loss lost its graph of the backward that torch refuses, in `frame`, autograd's
    own."""
    user = user_frame(frame.f_back, files)
    if user is None:
        return None
    _, node = written_in(frame, user)
    if node is not None:
        outer, node = _climbed(user, node, files)
        return find_cut(outer or user, ast.unparse(node), files, log=log)
    found = handed_over(frame, log, files) if log is not None else None
    if found is None:
        return None
    code = found.code
    scope = scope_of(parse(code.co_filename), code.co_firstlineno, code.co_name)
    values = {**_globals(code), **_self(code, frame, files)}
    lineage = Lineage(code.co_filename, scope, code.co_qualname, values, files)
    cut = lineage.value(found.node, found.line)
    return cut if isinstance(cut, Cut) else None


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
        inner = inner.f_back
    fitting = {
        id(each): each
        for each in candidates
        if getattr(static(type(each), code.co_name), "__code__", None) is code
    }
    return {first[0]: next(iter(fitting.values()))} if first and len(fitting) == 1 else {}
