"""Finds the line at which a loss lost its graph."""

from __future__ import annotations

import ast
from types import FrameType
from typing import Any

from graphlab.observe.names import parameters_in
from graphlab.observe.notes import Cut, Log
from graphlab.observe.refusals.frozen import frozen_by
from graphlab.observe.refusals.lineage import Lineage, Trail
from graphlab.observe.tensors import requires_grad
from graphlab.source.assignments import scope_of
from graphlab.source.files import UserFiles, user_frame
from graphlab.source.objects import variables
from graphlab.source.places import parse
from graphlab.trace.model import Location


def find_cut(
    frame: FrameType | None,
    loss: str,
    files: UserFiles,
    line: int | None = None,
    log: Log | None = None,
) -> Cut | None:
    """Where the value of the expression `loss` in the user's `frame` lost its graph. `line` is
    where that value was used, the frame's own line if None."""
    frame = user_frame(frame, files)
    if frame is None:
        return None
    try:
        expression = ast.parse(loss, mode="eval").body
    except SyntaxError:
        return None
    trail = Trail()
    found = lineage_of(frame, files, trail).value(expression, line or frame.f_lineno)
    for cut, module in trail.frozen:
        if found is cut:
            return _frozen(module, frame, files, log)
    return found if isinstance(found, Cut) else _around(frame, files)


def _frozen(module: Any, frame: FrameType, files: UserFiles, log: Log | None) -> Cut | None:
    """The statement that froze a module: of several, the one of its last parameter, which is its
    head's as a rule."""
    parameters = [each for each in parameters_in(module) if not requires_grad(each)]
    return frozen_by(parameters[-1], frame, files, log) if parameters else None


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


def lineage_of(frame: FrameType, files: UserFiles, trail: Trail | None = None) -> Lineage:
    """What reads the statements of a running function backwards."""
    code = frame.f_code
    scope = scope_of(parse(code.co_filename), code.co_firstlineno, code.co_name)
    values = {**variables(frame.f_globals), **variables(frame.f_locals)}
    return Lineage(code.co_filename, scope, code.co_qualname, values, files, trail=trail)


def _around(frame: FrameType | None, files: UserFiles) -> Cut | None:
    """What disables gradients at the call itself: a no_grad block around it or around a caller, or
    a set_grad_enabled(False) that was never undone."""
    import torch

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
