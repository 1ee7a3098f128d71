"""Tells what the user calls the loss of a backward, and which line of theirs stands for it.

Where the user calls backward(), through a library or a helper of their own, it is what that call
is given. Where a library's loop does, it is what the user's function returned to the library.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from itertools import islice
from types import CodeType, FrameType
from typing import Any, NamedTuple

from graphlab.language import message
from graphlab.observe.graph.walk import grad_edge, listed
from graphlab.observe.lineage.cut import (
    all_frozen,
    caller_argument,
    cut_among,
    find_cut,
    settled,
    trails_before,
)
from graphlab.observe.lineage.returned import TORCH, below, handed_over, lineage_of_returned
from graphlab.observe.lineage.trail import HAS_GRAPH, Trail
from graphlab.observe.notes import Cut, Log, Spot
from graphlab.observe.tensors import count_of, is_tensor, requires_grad
from graphlab.source.effects.assignments import scope_of
from graphlab.source.evaluate import in_frame
from graphlab.source.files import (
    PACKAGE,
    UserFiles,
    calls_key,
    installed,
    user_frame,
    user_frames,
)
from graphlab.source.objects import LOST
from graphlab.source.places import locate, parse
from graphlab.source.wording import THE_LOSS, call_at, call_text, loss_in, short

_GRAPHLAB = os.path.join(PACKAGE, "")
# How many helpers of the user's an argument is followed out of.
_HELPERS = 4


class Called(NamedTuple):
    """Where a backward was called for the user, how they wrote it, what they call the loss, and
    whether a library that they have called runs the training: it, or their code around it."""

    spot: Spot | None
    call: str
    loss: str
    by_library: bool = False

    @property
    def written(self) -> bool:
        """Whether the user's own line calls it, rather than a library's."""
        return self.spot is not None and self.spot[1] >= 0 and self.loss != THE_LOSS


class LossNames:
    """Names the losses of backwards as they begin; an answer for a chain of callers is kept."""

    def __init__(self, log: Log, files: UserFiles) -> None:
        self._log, self._files = log, files
        self._known: dict[tuple[int, ...], Called | None] = {}
        # Where the line says it alone, whatever called its function.
        self._alone: dict[tuple[int, int], Called] = {}
        # The codes of the keys, which are known by their identity.
        self._codes: list[CodeType] = []

    def name(self, frame: FrameType, is_grad: bool, user: FrameType | None) -> Called:
        """Of the backward that runs in `frame`, autograd's own, called in the user's frame."""
        alone = self._alone.get((id(user.f_code), user.f_lasti)) if user is not None else None
        if alone is not None:
            return alone
        fallback = "torch.autograd.grad" if is_grad else "backward"
        frames = [*islice(user_frames(frame.f_back, self._files), _HELPERS)]
        if not frames:
            return Called(None, *call_text(None, fallback))
        key = calls_key(frames)
        if key not in self._known:
            self._codes += [each.f_code for each in frames]
            self._known[key] = self._written(frame, frames[0])
        known = self._known[key]
        if known is not None:
            return known
        call = call_text(locate(frames[0].f_code, frames[0].f_lasti), fallback)[0]
        found = handed_over(frame, self._log, self._files)
        if found is None:
            return Called(self._log.spots.of(frames[0]), call, THE_LOSS, True)
        call = message("observed.by.backward_of", loss=found.text)
        return Called(found.spot, call, found.text, True)

    def _written(self, frame: FrameType, user: FrameType) -> Called | None:
        spot = self._log.spots.of(user)
        call, node = written_in(frame, user)
        if call is None or node is None:
            return None
        name = node.id if isinstance(node, ast.Name) else None
        alone = name is None or not _only_given(user, name)
        outer, node = _climbed(user, node, self._files)
        func = ast.unparse(call.func)
        given = short(node) if not direct(frame.f_back, user) else ""
        loss = short(node) if outer else ast.unparse(node)
        made = Called(spot, f"{func}({given})", loss, _run_by_library(user, self._files))
        if alone and not made.by_library:
            self._alone[id(user.f_code), user.f_lasti] = made
        return made


def _run_by_library(frame: FrameType, files: UserFiles) -> bool:
    """Whether an installed package other than torch runs between two of the user's frames, from
    `frame` outwards to where graphlab runs the program."""
    between, outer = False, frame.f_back
    while outer is not None:
        code = outer.f_code
        if code.co_filename.startswith(_GRAPHLAB):
            return False
        if code in files:
            if between:
                return True
        elif installed(code.co_filename) and not code.co_filename.startswith(TORCH):
            between = True
        outer = outer.f_back
    return False


def direct(frame: FrameType | None, user: FrameType) -> bool:
    """Whether nothing but torch is between the user's frame and autograd."""
    while frame is not None and frame is not user:
        if not frame.f_code.co_filename.startswith(TORCH):
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
    return edge is not None and edge in [*below(roots[0])]


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
        return all_frozen(user, files, log, by_library=True)
    trail = Trail()
    lineage = lineage_of_returned(found, frame, files, trail)
    cut = settled(lineage.value(found.node, found.line), trail, user, files, log)
    if cut is HAS_GRAPH:
        cut = lineage.guard_at(found.line)
    return cut if isinstance(cut, Cut) else None


def cut_before_loss(
    frame: FrameType, loss: str, files: UserFiles, log: Log, parameters: set[int]
) -> Cut | None:
    """Where, on the way to the loss of the backward that runs in `frame`, autograd's own, a graph
    was dropped that led to some of `parameters`, given by identity, or to modules with those."""
    trails = trails_to_loss(frame, loss, files, log)
    return next((cut for each in trails if (cut := cut_among(each, parameters))), None)


def trails_to_loss(frame: FrameType, loss: str, files: UserFiles, log: Log) -> Iterator[Trail]:
    """What a thorough search meets on the way to the loss of the backward that runs in `frame`,
    autograd's own."""
    user = user_frame(frame.f_back, files)
    mine = user is not None and written_in(frame, user)[1] is not None
    found = handed_over(frame, log, files) if not mine else None
    if found is None:
        yield from trails_before(frame.f_back, loss, files)
        return
    trail = Trail(thorough=True)
    lineage_of_returned(found, frame, files, trail).value(found.node, found.line)
    yield trail
