"""Finds the line to change where a gradient was asked for a tensor that no graph leads to: the one
that made this tensor, out of what the graph was built from or in place of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import FrameType
from typing import Any

from graphlab.observe.graph.walk import LEAF_SEQ, sequence
from graphlab.observe.names import Names
from graphlab.observe.notes import Cut, CutAt, Log
from graphlab.observe.refusals.cut import making
from graphlab.observe.tensors import grad_fn_of, is_tensor
from graphlab.source.assignments import scope_of
from graphlab.source.files import UserFiles, user_frame
from graphlab.source.objects import variables
from graphlab.source.places import line_place, locate, parse, statement_at
from graphlab.trace.model import Location


def made_late(
    tensor: Any,
    roots: list[Any],
    frame: FrameType | None,
    files: UserFiles,
    line: int | None,
    log: Log | None,
) -> Cut | None:
    """The line that made `tensor`, if that ran after the last of the graph of `roots`."""
    made = maker(tensor, frame, files, line)
    if made is None:
        return None
    numbers = [sequence(node) for root in roots if (node := grad_fn_of(root)) is not None]
    last = max((each for each in numbers if each < LEAF_SEQ), default=-1)
    node = grad_fn_of(tensor)
    if node is not None:
        late = last >= 0 and LEAF_SEQ > sequence(node) > last
    elif log is not None:
        late = _ran_after(log, made, last)
    else:
        late = _stands_after(made, roots, frame, files, line)
    return cut_of(made) if late else None


def cut_of(made: Location) -> Cut:
    """The statement as the cause, without the comment behind it."""
    statement = statement_at(made.file, made.line)
    plain = statement is not None and not hasattr(statement, "body")
    by = ast.unparse(statement) if plain and statement is not None else made.code
    return CutAt(made, by if len(by) < 60 else by[:57] + "…")


def maker(
    tensor: Any, frame: FrameType | None, files: UserFiles, line: int | None
) -> Location | None:
    """The statement that gave a variable of the user's frames this tensor or, if that came later,
    told it to require grad."""
    frame = user_frame(frame, files)
    while frame is not None:
        for name in _names_of(tensor, frame, files):
            before = line or frame.f_lineno
            found = making(frame, name, files, before)
            marked = _told_to_require_grad(frame, name, before)
            if marked is not None and (found is None or marked > found.line):
                code = frame.f_code
                return line_place(code.co_filename, marked, code.co_qualname)
            if found is not None:
                return line_place(found.file, found.line, found.function)
        line, frame = None, user_frame(frame.f_back, files)
    return None


def _names_of(tensor: Any, frame: FrameType, files: UserFiles) -> Iterator[str]:
    """The variables that hold it, and the path by which others do."""
    for name, value in variables(frame.f_locals).items():
        if value is tensor:
            yield name
    known = Names(files).gather_frames([frame]).tensors.get(id(tensor))
    if known is not None:
        yield known.name
        if known.name.endswith("]"):
            yield known.name.rpartition("[")[0]


def _told_to_require_grad(frame: FrameType, name: str, before: int) -> int | None:
    """The line above `before` of ``x.requires_grad_()`` or ``x.requires_grad = True``."""
    code = frame.f_code
    scope = scope_of(parse(code.co_filename), code.co_firstlineno, code.co_name)
    found = None
    for node in ast.walk(scope) if scope is not None else ():
        if isinstance(node, ast.Assign):
            told = [ast.unparse(each) for each in node.targets] == [f"{name}.requires_grad"]
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            told = ast.unparse(node.value.func) == f"{name}.requires_grad_"
        else:
            continue
        if told and node.lineno < before and (found is None or node.lineno > found):
            found = node.lineno
    return found


def _ran_after(log: Log, made: Location, last: int) -> bool:
    for seq, code, offset, _ in reversed(log.marks):
        if code is None or code.co_filename != made.file:
            continue
        if locate(code, offset).line == made.line:
            return seq > last >= 0
    return False


def _stands_after(
    made: Location, roots: list[Any], frame: FrameType | None, files: UserFiles, line: int | None
) -> bool:
    """Without a log: whether it stands below the line that made the output, in one function."""
    for root in roots:
        other = maker(root, frame, files, line) if is_tensor(root) else None
        if other is not None and (other.file, other.function) == (made.file, made.function):
            return made.line > other.line
    return False
