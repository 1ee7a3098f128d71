"""Finds the line to change where the graph of a loss passed a tensor by that was made before it:
the line that gave its variable another tensor, that used what it was made of, or that cut it off.
"""

from __future__ import annotations

import ast
from types import CodeType, FrameType
from typing import Any

from graphlab.observe.graph.walk import LEAF_SEQ, grad_edge, leaf_of, sequence, walk
from graphlab.observe.lineage.cut import caller_argument, lineage_of
from graphlab.observe.lineage.trail import Trail
from graphlab.observe.names import Names
from graphlab.observe.notes import Cut, Log
from graphlab.observe.tensors import (
    dtype_of,
    grad_fn_of,
    is_parameter,
    shape_of,
)
from graphlab.source.files import UserFiles, user_frame
from graphlab.source.places import locate, statement_at
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
        if leaf is None or is_parameter(leaf) or names.of_tensor(leaf) is not None:
            continue
        if (shape_of(leaf), dtype_of(leaf)) == (shape_of(tensor), dtype_of(tensor)):
            orphans.append(node)
    if len(orphans) != 1 or since < 0:
        return False
    used = _users(orphans[0], nodes)
    target = ast.unparse(statement.targets[0])
    return bool(used) and max(used) < since and _bound_before(target, made, log, min(used))


def _bound_before(target: str, made: Location, log: Log, first: int) -> bool:
    """Whether the function of `made` had assigned `target` when the node `first` was made."""
    for seq, code, offset, _ in reversed(log.marks):
        if seq > first or code is None or code.co_filename != made.file:
            continue
        if code.co_qualname != made.function:
            continue
        other = statement_at(made.file, locate(code, offset).line)
        targets = other.targets if isinstance(other, ast.Assign) else []
        if target in {ast.unparse(each) for each in targets}:
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
    tensor: Any, roots: list[Any], frame: FrameType | None, files: UserFiles, log: Log
) -> Location | None:
    """The line that computed from the parameter which `tensor` had been derived from before: the
    adapted weight was not handed to the forward."""
    own = grad_fn_of(tensor)
    user = user_frame(frame, files)
    if own is None or user is None:
        return None
    nodes = walk(grad_edge(root) for root in roots)
    derived = walk([grad_edge(tensor)])
    shape = shape_of(tensor)
    behind = [
        node
        for node in derived
        if node in set(nodes)
        and (leaf := leaf_of(node)) is not None
        and is_parameter(leaf)
        and shape_of(leaf) == shape
    ]
    if len(behind) != 1:
        return None
    used = _users(behind[0], nodes)
    if not used or min(used) < sequence(own):
        return None
    lines = {_line_within(user, number, files, log) for number in used}
    return lines.pop() if len(lines) == 1 else None


def _line_within(
    frame: FrameType | None, number: int, files: UserFiles, log: Log
) -> Location | None:
    """The line of the innermost of the running functions in which the node `number` was made."""
    while frame is not None:
        code: CodeType = frame.f_code
        spot = log.statement_in(code, number) if code.co_filename in files else None
        if spot is not None:
            return locate(*spot)
        frame = frame.f_back
    return None


def cut_off(tensor: Any, loss: str, frame: FrameType | None, files: UserFiles) -> Cut | None:
    """The one place on the way to `loss` at which a value that comes of `tensor` lost its graph."""
    frame = user_frame(frame, files)
    line: int | None = None
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
    return None
