"""A view that autograd can no longer follow, because its base was written: torch says so where the
view is used next. Found in the frames that the error went through."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

from graphlab.observe.refusals.cut import making
from graphlab.observe.notes import Log, RawRefused, RawWrite
from graphlab.observe.iterations import Loops
from graphlab.source.files import UserFiles
from graphlab.source.places import statement_at
from graphlab.observe.tensors import describe, is_tensor, is_view, refusal_of, storage_key
from graphlab.source.objects import exactly, items, variables


def broken_view(
    error: BaseException | None, log: Log, loops: Loops, files: UserFiles
) -> RawRefused | None:
    """What `error` is about, where torch says the same of a view in the innermost user frame that
    has such a one."""
    if not isinstance(error, RuntimeError):
        return None
    for frame, line, offset in _user_steps(error.__traceback__, files):
        found = {
            name: value
            for name, value in _tensors(frame)
            if is_view(value) and refusal_of(value) == str(error)
        }
        if not found:
            continue
        used = _names(statement_at(frame.f_code.co_filename, line))
        name = next((each for each in found if each in used), next(iter(found)))
        view = found[name]
        info = describe(view, name, "activation")
        return RawRefused(
            log.last_seq(),
            (frame.f_code, offset),
            "",
            info,
            "view",
            loops.iteration(frame),
            making(frame, name, files, line),
            _writer(view, log),
        )
    return None


def _user_steps(tb: TracebackType | None, files: UserFiles) -> Iterator[tuple[FrameType, int, int]]:
    """(frame, line, offset) of the user's part of a traceback, the innermost first."""
    found = []
    while tb is not None:
        if tb.tb_frame.f_code.co_filename in files:
            found.append((tb.tb_frame, tb.tb_lineno, tb.tb_lasti))
        tb = tb.tb_next
    yield from reversed(found)


def _tensors(frame: FrameType) -> Iterator[tuple[str, Any]]:
    for name, value in variables(frame.f_locals).items():
        if is_tensor(value):
            yield name, value
        elif exactly(value, list, tuple):
            for at, each in items(value):
                if is_tensor(each):
                    yield f"{name}[{at}]", each


def _names(statement: ast.stmt | None) -> set[str]:
    nodes = ast.walk(statement) if statement is not None else ()
    return {ast.unparse(node) for node in nodes if isinstance(node, ast.Name | ast.Subscript)}


def _writer(view: Any, log: Log) -> RawWrite | None:
    """The last write to what the view is of."""
    key = storage_key(view)
    for event in reversed(log.events):
        if isinstance(event, RawWrite) and any(each[0] == key for each in event.tensors):
            return event
    return None
