"""Finds the line to change where a gradient was asked for a tensor that no graph leads to: the one
that made this tensor, out of what the graph was built from or in place of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

from graphlab.observe.graph.walk import LEAF_SEQ, grad_edge, sequence, walk
from graphlab.observe.lineage.cut import making
from graphlab.observe.names import Names
from graphlab.observe.notes import Cut, CutAt, Log
from graphlab.observe.refusals.unused import cut_off, replaced_since, set_last, used_instead
from graphlab.observe.tensors import grad_fn_of
from graphlab.source.effects.assignments import scope_of
from graphlab.source.files import UserFiles, user_frame
from graphlab.source.objects import variables
from graphlab.source.places import line_place, locate, parse, statement_at
from graphlab.trace.model import Location


def made_late(
    tensor: Any,
    asked: list[Any],
    roots: list[Any],
    loss: str,
    frame: FrameType | None,
    files: UserFiles,
    line: int | None,
    log: Log | None,
) -> Cut | None:
    """The line that made `tensor`, if that ran after the last of the graph of `roots`, or in place
    of the leaf that this began with; else the one by which the graph passed it by. `loss` is the
    expression that `roots` come from, and `asked` are all whose gradient was asked for."""
    made = maker(tensor, frame, files, line)
    user = user_frame(frame, files)
    if made is not None and _made_late(tensor, made, roots, loss, user, line, log):
        return cut_of(made)
    if log is not None and user is not None:
        for each in (made, set_last(tensor, user, files, log)):
            if each is not None and replaced_since(tensor, each, roots, user, files, log):
                return cut_of(each)
        used = used_instead(tensor, asked, roots, user, files, log)
        if used is not None:
            return cut_of(used)
    return cut_off(tensor, loss, user, files) if line is None else None


def _made_late(
    tensor: Any, made: Location, roots: list[Any], loss: str, user: FrameType | None,
    line: int | None, log: Log | None,
) -> bool:  # fmt: skip
    node = grad_fn_of(tensor)
    if log is None or user is None:
        return _stands_after(made, loss, user, line)
    # What the failing line itself computed, such as a sum, came after all.
    last = _last_before(roots, log, (user.f_code, line or user.f_lineno))
    late = sequence(node) > last if node is not None else _ran_after(log, made, last)
    return late and last >= 0


def _last_before(roots: list[Any], log: Log, failing: tuple[CodeType, int]) -> int:
    """The number of the last node behind `roots` that the failing line did not make."""
    code, line = failing
    statement = statement_at(code.co_filename, line)
    first, end = (statement.lineno, statement.end_lineno) if statement else (line, line)
    last = -1
    for node in walk(grad_edge(root) for root in roots):
        number = sequence(node)
        mark = log.mark_of(number) if last < number < LEAF_SEQ else None
        if mark is None:
            continue
        here = mark.code is code and first <= locate(code, mark.offset).line <= (end or line)
        last = last if here else number
    return last


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


def _stands_after(made: Location, loss: str, frame: FrameType | None, line: int | None) -> bool:
    """Without a log: whether it stands below the lines that made what `loss` names, in one
    function. The frames outside are looked at too, for what is a parameter in the inner one."""
    names = {n.id for n in ast.walk(_parsed(loss)) if isinstance(n, ast.Name)}
    found = []
    for name in names:
        other = making(frame, name, UserFiles(), line)
        if other is not None:
            found.append(other)
    if not found and frame is not None:
        return _passed(made, names, frame)
    lines = [
        each.line for each in found if (each.file, each.function) == (made.file, made.function)
    ]
    return bool(lines) and made.line > max(lines)


def _passed(made: Location, names: set[str], frame: FrameType) -> bool:
    """Whether what `names` stand for in `frame` was made, in a caller, above `made`."""
    given = [value for name, value in variables(frame.f_locals).items() if name in names]
    outer = frame.f_back
    while outer is not None:
        if outer.f_code.co_qualname == made.function and outer.f_code.co_filename == made.file:
            held = [n for n, v in variables(outer.f_locals).items() if any(v is g for g in given)]
            above = [making(outer, name, UserFiles(), made.line) for name in held]
            return bool(held) and all(each is not None and each.line < made.line for each in above)
        outer = outer.f_back
    return False


def _parsed(loss: str) -> ast.AST:
    try:
        return ast.parse(loss, mode="eval")
    except SyntaxError:
        return ast.Module([], [])
