"""Finds the line to change where the graph of a loss passed a tensor by that was made before it:
the line that gave its variable another tensor, that used what it was made of, or that cut it off.
"""

from __future__ import annotations

import ast
from types import CodeType, FrameType
from typing import Any

from graphlab.observe.graph.walk import LEAF_SEQ, grad_edge, leaf_of, sequence, walk
from graphlab.observe.lineage.callee import entered
from graphlab.observe.lineage.cut import caller_argument, lineage_of
from graphlab.observe.lineage.trail import Trail
from graphlab.observe.names import Names
from graphlab.observe.notes import Cut, Log, Spot
from graphlab.observe.tensors import (
    dtype_of,
    grad_fn_of,
    is_parameter,
    shape_of,
)
from graphlab.source.evaluate import in_frame
from graphlab.source.files import UserFiles, user_frame
from graphlab.source.objects import items, variables
from graphlab.source.places import line_place, locate, statement_at
from graphlab.trace.model import Location


def replaced_since(
    tensor: Any, made: Location, roots: list[Any], frame: FrameType, files: UserFiles, log: Log
) -> bool:
    """Whether the assignment at `made`, which gave `tensor` its variable, took that from another
    leaf of its kind, from which the graph of `roots` had begun: no other variable holds that."""
    statement = statement_at(made.file, made.line)
    if grad_fn_of(tensor) is not None or not isinstance(statement, ast.Assign):
        return False
    since = _began(log, statement, made.file)
    names = Names(files).gather(frame)
    orphans = []
    nodes = walk(grad_edge(root) for root in roots)
    for node in nodes:
        leaf = leaf_of(node)
        if leaf is None or is_parameter(leaf) or id(leaf) in names.tensors:
            continue
        if (shape_of(leaf), dtype_of(leaf)) == (shape_of(tensor), dtype_of(tensor)):
            orphans.append(node)
    if len(orphans) != 1 or since < 0:
        return False
    used = _users(orphans[0], nodes)
    target = ast.unparse(statement.targets[0])
    return bool(used) and max(used) < since and _bound_before(target, made, log, min(used))


def set_last(tensor: Any, frame: FrameType, files: UserFiles, log: Log) -> Location | None:
    """The statement that ran last of those that set the attribute which holds `tensor`."""
    known = Names(files).gather(frame).of_tensor(tensor)
    name = known[1].name.rpartition(".")[2] if known is not None else ""
    if known is None or not name.isidentifier() or "." not in known[1].name:
        return None
    for _, code, offset, _ in reversed(log.marks):
        at = locate(code, offset) if code is not None else None
        statement = statement_at(at.file, at.line) if at is not None else None
        if at is not None and isinstance(statement, ast.Assign):
            targets = [each for each in statement.targets if isinstance(each, ast.Attribute)]
            if any(each.attr == name for each in targets):
                return line_place(at.file, statement.lineno, at.function)
    return None


def _bound_before(target: str, made: Location, log: Log, first: int) -> bool:
    """Whether `target` had been assigned when the node `first` was made: a variable in its own
    function, an attribute by that name anywhere."""
    name = target.rpartition(".")[2] if "." in target else ""
    for seq, code, offset, _ in reversed(log.marks):
        if seq > first or code is None:
            continue
        mine = code.co_filename == made.file and code.co_qualname == made.function
        if not mine and not name:
            continue
        other = statement_at(code.co_filename, locate(code, offset).line)
        targets = other.targets if isinstance(other, ast.Assign) else []
        if mine and target in {ast.unparse(each) for each in targets}:
            return True
        if name and any(getattr(each, "attr", "") == name for each in targets):
            return True
    return False


def _began(log: Log, statement: ast.stmt, file: str) -> int:
    """How many nodes there were when a statement last ran, or began to."""
    for seq, code, offset, _ in reversed(log.marks):
        if code is not None and code.co_filename == file:
            line = locate(code, offset).line
            if statement.lineno <= line <= (statement.end_lineno or line):
                return seq
    return -1


def _users(node: Any, nodes: list[Any]) -> list[int]:
    found = [sequence(each) for each in nodes if any(c is node for c, _ in each.next_functions)]
    return [each for each in found if 0 <= each < LEAF_SEQ]


def used_instead(
    tensor: Any,
    asked: list[Any],
    roots: list[Any],
    frame: FrameType | None,
    files: UserFiles,
    log: Log,
) -> Location | None:
    """The line that computed from the parameter which `tensor` had been derived from before: the
    adapted weights, all of those that are `asked` for, were not handed to the forward."""
    own = grad_fn_of(tensor)
    user = user_frame(frame, files)
    if own is None or user is None:
        return None
    nodes = walk(grad_edge(root) for root in roots)
    reached = set(nodes)
    if any(grad_fn_of(each) in reached for each in asked if grad_fn_of(each) is not None):
        return None
    derived = walk([grad_edge(tensor)])
    shape = shape_of(tensor)
    behind = [
        node
        for node in derived
        if node in reached
        and (leaf := leaf_of(node)) is not None
        and is_parameter(leaf)
        and shape_of(leaf) == shape
    ]
    if len(behind) != 1:
        return None
    used = _users(behind[0], nodes)
    if not used or min(used) < sequence(own):
        return None
    lines = {_line_within(user, tensor, number, files, log) for number in used}
    return lines.pop() if len(lines) == 1 else None


def _line_within(
    frame: FrameType | None, tensor: Any, number: int, files: UserFiles, log: Log
) -> Location | None:
    """The line of the innermost function in which the node `number` was made, of those that run
    still and those that `tensor` was handed to."""
    while frame is not None:
        code: CodeType | None = frame.f_code
        spot = log.statement_in(code, number) if code in files else None
        if spot is None:
            frame = frame.f_back
            continue
        code = _handed_to(spot, tensor, frame)
        inner = log.statement_in(code, number) if code is not None else None
        return locate(*(inner if inner is not None and inner[0] in files else spot))
    return None


def _handed_to(spot: Spot, tensor: Any, frame: FrameType) -> CodeType | None:
    """The function that a statement of a running function hands `tensor` to, or what holds it."""
    at = locate(*spot)
    statement = statement_at(at.file, at.line)
    given = {
        name
        for name, value in variables(frame.f_locals).items()
        if value is tensor or any(each is tensor for _, each in items(value))
    }
    calls = [
        each
        for each in (ast.walk(statement) if statement is not None else ())
        if isinstance(each, ast.Call)
        and any(
            isinstance(part, ast.Name) and part.id in given
            for part in (*each.args, *(word.value for word in each.keywords))
        )
    ]
    function = entered(in_frame(calls[0].func, frame))[1] if len(calls) == 1 else None
    return function.__code__ if function is not None else None


def cut_off(
    tensor: Any, loss: str, frame: FrameType | None, files: UserFiles, line: int | None = None
) -> Cut | None:
    """The one place on the way to `loss` at which a value that comes of `tensor` lost its graph."""
    frame = user_frame(frame, files)
    while frame is not None:
        try:
            expression = ast.parse(loss, mode="eval").body
        except SyntaxError:
            return None
        trail = Trail(thorough=True, wanted=tensor)
        lineage_of(frame, files, trail).value(expression, line or frame.f_lineno)
        found = {
            cut.location(): cut for cut, met in trail.cuts if any(each is tensor for each in met)
        }
        if found:
            return next(iter(found.values())) if len(found) == 1 else None
        outer = caller_argument(frame, loss, files)
        if outer is None:
            return None
        frame, loss = outer
        line = None
    return None
