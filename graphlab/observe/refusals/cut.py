"""Finds the line at which a loss lost its graph."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from types import FrameType

import torch

from graphlab.observe.names import parameters_in
from graphlab.observe.notes import Cut
from graphlab.observe.refusals.grad_mode import ENABLED, UNKNOWN, mode_at
from graphlab.observe.refusals.lineage import Lineage, Trail
from graphlab.source.assignments import scope_of
from graphlab.source.files import UserFiles, user_frame
from graphlab.source.objects import variables
from graphlab.source.places import parse
from graphlab.trace.model import Location

# (frame, line that it was at), the innermost first.
Stack = Sequence[tuple[FrameType, int]]


def find_cut(
    frame: FrameType | None,
    loss: str,
    files: UserFiles,
    line: int | None = None,
    stack: Stack | None = None,
) -> Cut | None:
    """Where the value of the expression `loss` in the user's `frame` lost its graph. `line` is
    where that value was used, the frame's own line if None. `stack` has the frames of a traceback,
    the innermost first, with the line of each: they have ended by now, and the guards that were on
    are known from their source alone."""
    frame = user_frame(frame, files)
    if frame is None:
        return None
    try:
        expression = ast.parse(loss, mode="eval").body
    except SyntaxError:
        return None
    lineage = lineage_of(frame, files)
    around = _around(frame, files) if stack is None else _left_behind(frame, files, stack)
    if stack is not None:
        lineage.trail.grad_enabled = around is None
    found = lineage.value(expression, line or frame.f_lineno)
    return found if isinstance(found, Cut) else around if isinstance(around, Cut) else None


def cut_before(
    frame: FrameType | None, loss: str, files: UserFiles, parameters: set[int]
) -> Cut | None:
    """Where, on the way to the expression `loss` in the user's `frame`, a graph was dropped that
    led to modules with some of `parameters`, given by identity."""
    frame = user_frame(frame, files)
    if frame is None:
        return None
    try:
        expression = ast.parse(loss, mode="eval").body
    except SyntaxError:
        return None
    trail = Trail(thorough=True)
    lineage_of(frame, files, trail).value(expression, frame.f_lineno)
    for cut, modules in trail.cuts:
        if any(id(p) in parameters for module in modules for p in parameters_in(module)):
            return cut
    return None


def making(
    frame: FrameType | None, name: str, files: UserFiles, line: int | None = None
) -> Location | None:
    """The statement of `frame` that gave `name` the value that it had at `line`, the frame's own
    line if None."""
    if frame is None or not name:
        return None
    lineage = lineage_of(frame, files)
    return lineage.made(name, line or frame.f_lineno)


def _left_behind(frame: FrameType, files: UserFiles, stack: Stack) -> Cut | str | None:
    """What disabled gradients at the call in `frame`, by the source around each line of `stack`: a
    guard; UNKNOWN, if a block that is not known is around one; None, if nothing did."""
    at = next((i for i, (each, _) in enumerate(stack) if each is frame), 0)
    unknown: str | None = None
    for each, line in stack[at:]:
        code = each.f_code
        if code.co_filename not in files:
            continue
        scope = scope_of(parse(code.co_filename), code.co_firstlineno, code.co_name)
        found = mode_at(code.co_filename, scope, line, code.co_qualname)
        if isinstance(found, Cut) or found == ENABLED:
            return found if isinstance(found, Cut) else unknown
        unknown = unknown or found
    if not torch.is_grad_enabled():
        # Turned off by a statement, and still off.
        mine = [each for each, _ in stack[at:] if each.f_code.co_filename in files]
        found = (lineage_of(each, files).switched_off() for each in mine)
        return next((each for each in found if each is not None), UNKNOWN)
    return unknown


def lineage_of(frame: FrameType, files: UserFiles, trail: Trail | None = None) -> Lineage:
    """The lineage of what the function of `frame` computes."""
    code = frame.f_code
    scope = scope_of(parse(code.co_filename), code.co_firstlineno, code.co_name)
    values = {**variables(frame.f_globals), **variables(frame.f_locals)}
    return Lineage(code.co_filename, scope, code.co_qualname, values, files, trail=trail)


def _around(frame: FrameType | None, files: UserFiles) -> Cut | None:
    """What disables gradients at the call itself: a no_grad block around it or around a caller, or
    a set_grad_enabled(False) that was never undone."""
    if torch.is_grad_enabled():
        return None
    switch = None
    while frame is not None:
        if frame.f_code.co_filename in files:
            lineage = lineage_of(frame, files)
            guard = lineage.guard_at(frame.f_lineno)
            if guard is not None:
                return guard
            switch = switch or lineage.switched_off()
        frame = frame.f_back
    return switch
