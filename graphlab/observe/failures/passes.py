"""Finds in the log the two passes of a checkpoint, and the first line at which they differ."""

from __future__ import annotations

from collections.abc import Iterable
from types import CodeType
from typing import Any, NamedTuple

from graphlab.observe.marks import Marks
from graphlab.observe.notes import Log, Spot
from graphlab.source.places import locate, statement_at

# How many marks back the caller of a pass is looked for.
_BEFORE = 6


class Ran(NamedTuple):
    """A line that ran, with the count of nodes before it and the module that was running."""

    code: CodeType
    line: int
    seq: int
    module: int | None

    @property
    def key(self) -> tuple[int, int]:
        return id(self.code), self.line


class Passes(NamedTuple):
    """The lines of both passes. between: those that ran after the first and before the backward."""

    first: list[Ran]
    second: list[Ran]
    between: list[Ran]

    def diverged(self) -> tuple[int, int] | None:
        """The indices, in each pass, of the last line before they differ; None if the second is
        the beginning of the first."""
        at = other = 0
        one, two = self.first, self.second
        while at < len(one) and other < len(two):
            if one[at].key != two[other].key:
                return (at - 1, other - 1) if at and other else None
            at, other = at + 1, other + 1
        return None

    def unequal(self) -> int | None:
        """The index in the second pass of the first line that made another number of nodes."""
        for at in range(min(len(self.first), len(self.second)) - 1):
            if self.first[at].key != self.second[at].key:
                return None
            one = self.first[at + 1].seq - self.first[at].seq
            two = self.second[at + 1].seq - self.second[at].seq
            # The last line of the second pass may have been cut short.
            if one != two and at + 2 < len(self.second):
                return at
        return None


def passes(
    log: Log, called: Spot | None, node: int | None, reentrant: bool, elsewhere: Marks | None
) -> Passes | None:
    """The passes of the checkpoint that was computed again last, in the backward which was called
    at `called`. `node` is the sequence number of a node of its first pass or, of a reentrant one,
    of its own; `elsewhere`, the marks of the engine's own thread, if it has one. `first` is empty
    if the log has let go of that."""
    if called is None or log.no_counter:
        return None
    ran = _lines(log.marks)
    caller = called[0]
    at = locate(caller, called[1]).line
    statement = statement_at(caller.co_filename, at)
    first, last = (at, at) if statement is None else (statement.lineno, statement.end_lineno or at)
    # Back to the line before the backward's, whose nodes are as many.
    start = len(ran)
    while start and not (
        ran[start - 1].code is caller and not first <= ran[start - 1].line <= last
    ):
        start -= 1
    if elsewhere is None:
        segments = _segments(ran, start, caller)
    else:
        segments = [_apart(_lines(elsewhere.last_call()))] if elsewhere else []
    if not segments:
        return None
    second = segments[-1]
    key, module = second[0].key, second[0].module
    codes = {id(each.code) for each in second}
    starts = [
        at
        for at in range(1, start)
        if ran[at].key == key and id(ran[at - 1].code) != id(ran[at].code)
    ]
    if module is not None:
        # A module that is called again; a plain function ran in whichever module called it.
        starts = [at for at in starts if ran[at].module == module]
    if node is not None and reentrant:
        starts = [at for at in starts if ran[at].seq >= node][:1]
    elif node is not None:
        starts = [at for at in starts if ran[at].seq <= node][-1:]
    else:
        again = sum((each[0].key, each[0].module) == (key, module) for each in segments)
        starts = starts[-again:]
    if not starts:
        return Passes([], second, [])
    at = starts[0]
    outer = {id(each.code) for each in ran[max(0, at - _BEFORE) : at]} - codes
    end = at
    while end < start and id(ran[end].code) not in outer:
        end += 1
    return Passes(_apart(ran[at:end]), second, ran[end:start])


def _lines(marks: Iterable[Any]) -> list[Ran]:
    return [
        Ran(code, locate(code, offset).line, seq, module)
        for seq, code, offset, module in marks
        if code is not None
    ]


def _segments(ran: list[Ran], start: int, caller: CodeType) -> list[list[Ran]]:
    """What ran between two lines of `caller`, from `start` on."""
    found: list[list[Ran]] = []
    inside = False
    for each in ran[start:]:
        if each.code is caller:
            inside = False
        elif inside:
            found[-1].append(each)
        else:
            inside = True
            found.append([each])
    return [_apart(each) for each in found]


def _apart(ran: list[Ran]) -> list[Ran]:
    """Without repetitions of a line: the log notes it again when a call returns to it."""
    found: list[Ran] = []
    for each in ran:
        if not found or found[-1].key != each.key:
            found.append(each)
    return found
