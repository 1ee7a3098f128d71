"""Finds a backward that stands behind the loop over the batches, where a loss is computed in each
turn of that: only the last turn's is back-propagated."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import FrameType
from typing import Any, NamedTuple

from graphlab.observe.graph.walk import leaf_of, sequence
from graphlab.observe.marks import Marks
from graphlab.observe.notes import RawBackward, Spot, located
from graphlab.observe.sightings.watched import Watched
from graphlab.source.effects.assignments import target_names
from graphlab.source.files import user_frame
from graphlab.source.places import beside, locate, place, statement_at
from graphlab.trace.examples.sightings import LastOnly

# At how many backwards of the line it must have been so, and how many marks are gone through.
ENOUGH, MARKS = 2, 20_000
# What reads a loss for its number alone.
_NUMBERS = ("item", "detach", "data", "cpu", "tolist")
_CALLS = ("float", "print", "str", "round")


class Dropped(NamedTuple):
    """The loop in front of a backward, and the statement in it that computes the loss. clears: its
    turns clear gradients, as if each of them had a backward."""

    loop: ast.For
    made: ast.Assign
    clears: bool


class LastOnes:
    def __init__(self, watched: Watched) -> None:
        self._log, self._files = watched.log, watched.files
        self._known: dict[Spot, Dropped | None] = {}
        # How often it was so at each line; None: it was not, once.
        self._seen: dict[Spot, int | None] = {}
        self._found: dict[Spot, LastOnly] = {}
        # Where the nodes began that the last backward could not have gone through.
        self._since = 0

    def found(self) -> Iterator[LastOnly]:
        for spot, each in self._found.items():
            known = self._known[spot]
            enough = 1 if known is not None and known.clears else ENOUGH
            if (self._seen.get(spot) or 0) >= enough:
                yield each

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        since, self._since = self._since, record.seq
        user = user_frame(frame.f_back, self._files)
        spot = record.spot
        if record.is_grad or user is None or spot is None or spot[0] is not user.f_code:
            return
        if spot not in self._known:
            self._known[spot] = _dropped(user, record.loss)
        known = self._known[spot]
        if known is None or self._seen.get(spot, 0) is None:
            return
        turns = self._turns_of(record.root, nodes, known, user, since)
        self._seen[spot] = None if turns < 2 else (self._seen.get(spot) or 0) + 1
        if turns >= 2 and spot not in self._found:
            file, function = user.f_code.co_filename, user.f_code.co_qualname
            self._found[spot] = LastOnly(
                located(spot),
                record.call,
                record.loss,
                place(known.loop, file, function),
                place(known.made, file, function),
                turns,
            )

    def _turns_of(
        self, root: int, nodes: list[Any], known: Dropped, user: FrameType, since: int
    ) -> int:
        """In how many turns the loss was computed since the last backward, if all of the graph is
        of the last of them; else 0."""
        marks = self._log.marks
        at = marks.index_of(root)
        if at < 0:
            return 0
        earlier = [*_same_before(marks, at, since)]
        begins = [sequence(each) for each in nodes if leaf_of(each) is None]
        if not earlier or not begins or min(begins) < marks[earlier[0] + 1][0]:
            return 0
        lines = range(known.loop.body[0].lineno, (known.loop.end_lineno or 0) + 1)
        for each in earlier:
            inside = self._log.statement_in(user.f_code, marks[each][0])
            if inside is None or locate(*inside).line not in lines:
                return 0
        return 1 + len(earlier)


def _same_before(marks: Marks, at: int, since: int) -> Iterator[int]:
    """The marks of the same instruction before this one that made nodes, back to a node."""
    mark = marks[at]
    for index in range(at - 1, max(at - MARKS, -1), -1):
        each = marks[index]
        if each[0] < since:
            return
        if each[1] is mark[1] and each[2] == mark[2] and marks[index + 1][0] > each[0]:
            yield index


def _dropped(user: FrameType, loss: str) -> Dropped | None:
    """The loop before a backward, in the same body, that computes its loss and drops it, turn for
    turn; None where it may be read, or the loop be left with it."""
    file = user.f_code.co_filename
    statement, body = statement_at(file, user.f_lineno), beside(file, user.f_lineno)
    if not loss.isidentifier() or statement is None or statement not in body:
        return None
    for before in reversed(body[: body.index(statement)]):
        if not _stores(before, loss):
            continue
        return _of_loop(before, loss) if isinstance(before, ast.For) else None
    return None


def _of_loop(loop: ast.For, loss: str) -> Dropped | None:
    if loop.orelse or any(isinstance(each, ast.Break | ast.Return) for each in ast.walk(loop)):
        return None
    written = [each for each in ast.walk(loop) if isinstance(each, ast.stmt) and _own(each, loss)]
    made = written[0] if len(written) == 1 else None
    if not isinstance(made, ast.Assign) or len(made.targets) != 1:
        return None
    parents = {id(child): each for each in ast.walk(loop) for child in ast.iter_child_nodes(each)}
    reads = [
        each
        for each in ast.walk(loop)
        if isinstance(each, ast.Name) and each.id == loss and isinstance(each.ctx, ast.Load)
    ]
    used = {each.id for part in loop.body for each in ast.walk(part) if isinstance(each, ast.Name)}
    if used.isdisjoint(target_names(loop.target)) or not all(
        _number(each, parents) for each in reads
    ):
        return None
    calls = (each.func for each in ast.walk(loop) if isinstance(each, ast.Call))
    clears = any(isinstance(each, ast.Attribute) and each.attr == "zero_grad" for each in calls)
    return Dropped(loop, made, clears)


def _own(statement: ast.stmt, name: str) -> bool:
    """Whether the statement itself gives the variable a value."""
    if isinstance(statement, ast.Assign):
        return any(name in target_names(each) for each in statement.targets)
    if isinstance(statement, ast.AugAssign | ast.AnnAssign | ast.For):
        return name in target_names(statement.target)
    return False


def _stores(statement: ast.stmt, name: str) -> bool:
    return any(
        isinstance(each, ast.Name) and each.id == name and isinstance(each.ctx, ast.Store)
        for each in ast.walk(statement)
    )


def _number(name: ast.Name, parents: dict[int, ast.AST]) -> bool:
    """Whether a reading of the loss takes its number, or prints it."""
    parent = parents.get(id(name))
    if isinstance(parent, ast.Attribute):
        return parent.attr in _NUMBERS
    if isinstance(parent, ast.Call):
        return isinstance(parent.func, ast.Name) and parent.func.id in _CALLS
    return isinstance(parent, ast.FormattedValue)
