"""Counts how often the body of each loop of the user's has begun, to number iterations."""

from __future__ import annotations

import ast
from functools import lru_cache
from types import CodeType, FrameType

from graphlab.source.evaluate import in_frame
from graphlab.source.objects import length
from graphlab.source.places import parse


@lru_cache(maxsize=256)
def _loops_of(filename: str) -> tuple[tuple[int, int, int], ...]:
    """(first body line, first line, last line) of every loop of a file."""
    tree = parse(filename)
    return tuple(
        (node.body[0].lineno, node.lineno, node.end_lineno or node.lineno)
        for node in (ast.walk(tree) if tree is not None else ())
        if isinstance(node, ast.For | ast.While | ast.AsyncFor)
    )


@lru_cache(maxsize=4096)
def _loops_around(filename: str, line: int) -> tuple[int, ...]:
    """First body lines of the loops around a line, the innermost first."""
    around = [
        (first, start)
        for start, first, last in _loops_of(filename)
        if first < line <= last or line == start
    ]
    return tuple(start for _, start in sorted(around, reverse=True))


@lru_cache(maxsize=256)
def _with_lines(filename: str) -> frozenset[int]:
    tree = parse(filename)
    return frozenset(
        node.lineno
        for node in (ast.walk(tree) if tree is not None else ())
        if isinstance(node, ast.With | ast.AsyncWith)
    )


def headers_around(filename: str, line: int) -> frozenset[int]:
    """The header lines of the loops around a line."""
    around = (each for each in _loops_of(filename) if each[1] <= line <= each[2])
    return frozenset(first for _, first, _ in around)


class Iterations:
    """`counts[(code, first body line)]` is how often that loop's body has begun."""

    def __init__(self) -> None:
        self.counts: dict[tuple[CodeType, int], int] = {}
        self.done = 0
        self.total: int | None = None
        # The offset at which a body that begins with ``with`` is entered.
        self.entered: dict[tuple[CodeType, int], int] = {}
        self._sized: set[tuple[CodeType, int]] = set()

    def advance(self, frame: FrameType | None, iteration: int) -> None:
        """Note that `iteration` runs, and once per loop how many there will be."""
        self.done = iteration + 1
        while frame is not None and len(self._sized) < 64:
            key = (frame.f_code, frame.f_lineno)
            if key in self._sized:
                # Its callers were looked at then as well.
                return
            self._sized.add(key)
            self.total = length_of_loops(frame) or self.total
            frame = frame.f_back

    def body_starts(self, code: CodeType) -> frozenset[int]:
        return frozenset(start for start, _, _ in _loops_of(code.co_filename))

    def with_starts(self, code: CodeType) -> frozenset[int]:
        """Those of `body_starts` with a ``with``, whose line runs again at the block's end."""
        return self.body_starts(code) & _with_lines(code.co_filename)

    def iteration(self, frame: FrameType | None) -> int | None:
        """The 0-based iteration of the innermost loop around `frame`'s line, in the nearest frame
        outwards that stands in one; counted over the whole run, across epochs."""
        return self.place(frame)[1]

    def place(self, frame: FrameType | None) -> tuple[tuple[CodeType, int] | None, int | None]:
        """As `iteration`, with the loop that it counts."""
        while frame is not None:
            code, line = frame.f_code, frame.f_lineno
            for start in _loops_around(code.co_filename, line):
                count = self.counts.get((code, start))
                if count is not None:
                    return (code, start), count - 1
            frame = frame.f_back
        return None, None


def length_of_loops(frame: FrameType) -> int | None:
    """The product of the lengths of the for-loops around `frame`'s line, where each can be read
    off a variable that is Python's own."""
    tree = parse(frame.f_code.co_filename)
    total = 1
    found = False
    for node in ast.walk(tree) if tree is not None else ():
        if not isinstance(node, ast.For):
            continue
        if node.lineno < frame.f_lineno <= (node.end_lineno or node.lineno):
            length = _length(node.iter, frame)
            if length is None:
                return None
            found = True
            total *= length
    return total if found else None


def _length(node: ast.expr, frame: FrameType) -> int | None:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
        if node.func.id == "range" and len(node.args) == 1:
            value = in_frame(node.args[0], frame)
            return value if type(value) is int else None
        if node.func.id in ("enumerate", "tqdm"):
            return _length(node.args[0], frame)
        return None
    return length(in_frame(node, frame))
