"""Finds the number that a program's own check has refused: ``assert torch.isfinite(loss)``."""

from __future__ import annotations

import ast
import math
import traceback
from types import FrameType
from typing import Any

from graphlab.observe.numbers.finite import odd
from graphlab.observe.tensors import count_of, grad_fn_of, is_tensor
from graphlab.source.evaluate import in_frame
from graphlab.source.files import UserFiles
from graphlab.source.places import nodes_of, parse, statement_at


def checked_by(error: BaseException, files: UserFiles) -> tuple[FrameType, list[Any]] | None:
    """The frame whose ``assert`` or ``raise`` ended the program, and the tensors with a graph that
    its condition is about, where one of the values it names is not finite. Else None."""
    last = _last(error)
    if last is None or last[0].f_code not in files:
        return None
    frame, line = last
    tests = _conditions(frame.f_code.co_filename, line)
    values = [
        in_frame(each, frame)
        for test in tests
        for each in ast.walk(test)
        if isinstance(each, ast.Name | ast.Attribute)
    ]
    ill = [each for each in values if is_tensor(each) and odd(each)]
    number = any(type(each) is float and not math.isfinite(each) for each in values)
    if not ill and not number:
        return None
    graph = [each for each in ill if grad_fn_of(each) is not None]
    if not graph:
        # It was asked of a number that was read from a loss.
        graph = [
            each
            for each in frame.f_locals.values()
            if is_tensor(each) and count_of(each) == 1 and grad_fn_of(each) is not None
            and odd(each)
        ]  # fmt: skip
    return (frame, graph or ill) if graph or ill else None


def refused_by_clipping(error: BaseException) -> bool:
    """Whether clip_grad_norm_ has refused a norm: ``error_if_nonfinite=True``."""
    last = _last(error)
    return last is not None and last[0].f_globals.get("__name__") == "torch.nn.utils.clip_grad"


def _last(error: BaseException) -> tuple[FrameType, int] | None:
    """The innermost frame of a traceback, and its line."""
    last = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        last = (frame, line)
    return last


def _conditions(file: str, line: int) -> list[ast.expr]:
    """What an ``assert`` asks, or the ``if`` around a ``raise`` or a ``sys.exit()``."""
    statement = statement_at(file, line)
    if isinstance(statement, ast.Assert):
        return [statement.test]
    call = statement.value if isinstance(statement, ast.Expr) else None
    leaves = isinstance(call, ast.Call) and ast.unparse(call.func) == "sys.exit"
    if not isinstance(statement, ast.Raise) and not leaves:
        return []
    found = [
        each
        for each in nodes_of(parse(file))
        if isinstance(each, ast.If) and any(inner is statement for inner in each.body)
    ]
    return [each.test for each in found]
