"""Which iteration is running: counts how often the body of each of the user's loops began."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import lru_cache
from types import CodeType, FrameType

from graphlab.observe.log import Spot
from graphlab.observe.source import parse


@lru_cache(maxsize=256)
def _loops_of(filename: str) -> tuple[tuple[int, int, int], ...]:
    """(first body line, first line, last line) of every loop of a file."""
    tree = parse(filename)
    return tuple(
        (node.body[0].lineno, node.lineno, node.end_lineno or node.lineno)
        for node in (ast.walk(tree) if tree is not None else ())
        if isinstance(node, ast.For | ast.While | ast.AsyncFor)
    )


class Loops:
    """`counts[(code, first body line)]` is how often that loop's body has begun."""

    def __init__(self) -> None:
        self.counts: dict[tuple[CodeType, int], int] = {}
        self.enter_module: Callable[[int, Spot | tuple[None, int], int], None] = _nothing

    def body_starts(self, code: CodeType) -> frozenset[int]:
        return frozenset(start for start, _, _ in _loops_of(code.co_filename))

    def iteration(self, frame: FrameType | None) -> int | None:
        """The 0-based iteration of the innermost loop around `frame`'s line, in the nearest frame
        outwards that stands in one; counted over the whole run, across epochs."""
        while frame is not None:
            code, line = frame.f_code, frame.f_lineno
            best: tuple[int, int, int] | None = None
            for start, first, last in _loops_of(code.co_filename):
                inside = first < line <= last or line == start
                if inside and (code, start) in self.counts and (best is None or first > best[1]):
                    best = (start, first, last)
            if best is not None:
                return self.counts[(code, best[0])] - 1
            frame = frame.f_back
        return None


def _nothing(seq: int, spot: object, module: int) -> None:
    """Until a session listens."""
