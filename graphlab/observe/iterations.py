"""Counts how often the body of each loop of the user's has begun, to number iterations."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterable, Iterator
from math import prod
from threading import get_ident
from types import CodeType, FrameType, TracebackType

from graphlab.source.evaluate import in_frame
from graphlab.source.loops import (
    for_loops,
    in_comprehension,
    loops_around,
    loops_of,
    one_line_loops,
    repeated_lines,
)
from graphlab.source.objects import length
from graphlab.source.places import hashed

# A loop: the code that it is in, and the first line of its body.
LoopKey = tuple[CodeType, int]
# What runs a program for `graphlab run`: no loop of the program's is around it.
_RUNS = os.path.join(os.path.dirname(__file__), "program.py")


class Iterations:
    """`counts[(code, first body line)]` is how often that loop's body has begun in this thread."""

    def __init__(self) -> None:
        self._counts: dict[int, dict[LoopKey, int]] = {}
        self.done = 0
        self.total: int | None = None
        # The number that a framework gives to what runs now: it counts better than its loop does.
        self.given: int | None = None
        # How many steps the program's one optimizer has taken, None where it has several: they
        # number what is in no loop of the user's while a library runs the training.
        self.steps: Callable[[], int | None] = lambda: None
        # With several, how often each place of the user's has called backward there.
        self.several: Callable[[], bool] = lambda: False
        self._turns: dict[tuple[int, int], int] = {}
        self._in_library = False
        # The loops of which turns may have gone by without being counted.
        self.lost: set[LoopKey] = set()
        # The offset at which a body is entered that begins with one of `repeated_starts`.
        self._entered: dict[tuple[CodeType, int], int] = {}
        # Of each body's first line, by the identity of its code: the loop, whether that line is one
        # of `repeated_starts`, and what kind of loop is all in that line.
        self._bodies: dict[tuple[int, int], tuple[LoopKey, bool, type[ast.AST] | None]] = {}
        self._sized: dict[tuple[int, int], CodeType] = {}
        # The loop that the last backward was numbered by, those that ever were, and all loops that
        # were around the last one.
        self._training: LoopKey | None = None
        self._numbering: set[LoopKey] = set()
        self._around: set[LoopKey] = set()
        # Each loop's one key: to find the very same object costs half as much as an equal one.
        self._keys: dict[LoopKey, LoopKey] = {}
        # The training loop around a line, and around an instruction, by the identity of the code:
        # Python has to search for the line of an instruction.
        self._known: dict[tuple[int, int], LoopKey] = {}
        self._at: dict[tuple[int, int], LoopKey] = {}

    @property
    def counts(self) -> dict[LoopKey, int]:
        ident = get_ident()
        return self._counts.get(ident) or self._counts.setdefault(ident, {})

    def counts_in(self, thread: int) -> dict[LoopKey, int]:
        """As `counts`, of another thread: one that reports may not be the one that ran."""
        return self._counts.get(thread, {})

    def lose(self, loop: LoopKey) -> None:
        """Turns of a loop may have gone by without being counted: it numbers nothing any more."""
        self.lost.add(loop)
        self._known = {place: known for place, known in self._known.items() if known != loop}
        self._at.clear()

    def lose_before(self, code: CodeType, line: int) -> None:
        """Whatever of `code` ran up to `line` was not counted. A loop further down has not begun
        yet, unless another loop is around both; one that trains has not in an earlier call either,
        as it would have been noticed there."""
        around = loops_around(code.co_filename, line)
        for each in loops_of(code.co_filename):
            if around or not each.trains or each.first <= line:
                self.lose((code, each.start))

    def advance(self, frame: FrameType | None, iteration: int) -> None:
        """Note that `iteration` runs, and once per loop how many there will be."""
        self.done = iteration + 1
        while frame is not None and len(self._sized) < 64:
            if frame.f_code.co_filename == _RUNS:
                return
            key = (id(frame.f_code), frame.f_lasti)
            if key in self._sized:
                # Its callers were looked at then as well.
                return
            self._sized[key] = frame.f_code
            self.total = length_of_loops(frame) or self.total
            frame = frame.f_back

    def _key(self, code: CodeType, line: int) -> LoopKey:
        key = hashed(code, line)
        return self._keys.setdefault(key, key)

    def body_starts(self, code: CodeType) -> frozenset[int]:
        return frozenset(each.start for each in loops_of(code.co_filename))

    def repeated_starts(self, code: CodeType) -> frozenset[int]:
        """Those of `body_starts` whose line runs again: a loop's, a with's at the block's end."""
        return self.body_starts(code) & repeated_lines(code.co_filename)

    def begins(self, code: CodeType, line: int, offset: int) -> None:
        """The first line of a loop's body begins, unless it runs again within the same turn."""
        known = self._bodies.get((id(code), line))
        if known is None:
            kind = one_line_loops(code.co_filename).get(line)
            known = self._key(code, line), line in self.repeated_starts(code), kind
            self._bodies[id(code), line] = known
        loop, repeats, whole = known
        counts = self.counts
        if whole is None:
            # A block's end, or a loop's next turn, has another offset than its beginning.
            if repeats and self._entered.setdefault(loop, offset) != offset:
                return
        else:
            # The line of a for-loop runs once more than there are turns: when the data is found to
            # be at its end. That stands for the first turn of the loop's next run.
            anew = self._entered.setdefault(loop, offset) == offset
            if anew and whole is not ast.While and loop in counts:
                return
        counts[loop] = counts.get(loop, 0) + 1

    def of_backward(self, frame: FrameType | None) -> int | None:
        """The iteration of a backward called in `frame`: see `place`."""
        if self.given is not None:
            return self.given
        loop = self._at.get((id(frame.f_code), frame.f_lasti)) if frame is not None else None
        if loop is None:
            loop = self._loop(_stack(frame))
            self._learn(frame)
        counted = self.counts.get(loop) if loop is not None else None
        if loop is None or counted is None:
            return None
        if loop is not self._training and loop != self._training:
            self._training = loop
            self._numbering.add(loop)
            self._around = self._running(_stack(frame))
        return counted - 1

    def of_library(
        self, runs: bool, frame: FrameType | None = None, written: bool = False
    ) -> int | None:
        """The iteration of a backward in no loop of the user's. `runs`: whether a library that the
        user has called runs it, or the user's code around it; a comprehension around `frame` turns
        unseen as well. `written`: whether the user's own line, where `frame` is, calls it."""
        self._in_library = runs or _by_comprehension(frame)
        if runs and written and frame is not None:
            place = id(frame.f_code), frame.f_lasti
            self._turns[place] = self._turns.get(place, 0) + 1
        return self._by_steps(None)

    def _by_steps(self, counted: int | None) -> int | None:
        if counted is not None or not self._in_library:
            return counted
        steps = self.steps()
        if steps is None and self._turns and self.several():
            return max(self._turns.values()) - 1
        return steps

    def iteration(self, frame: FrameType | None) -> int | None:
        """The 0-based iteration of the training loop around `frame`'s line, counted over the whole
        run, across epochs."""
        if self.given is not None:
            return self.given
        if frame is not None:
            loop = self._at.get((id(frame.f_code), frame.f_lasti)) or self._learn(frame)
            counted = self.counts.get(loop) if loop is not None else None
            training = self._training
            if counted is not None and (
                training is None or loop is training or loop in self._numbering
            ):
                return counted - 1
        return self._by_steps(self.place(frame)[1])

    def _learn(self, frame: FrameType | None) -> LoopKey | None:
        """The training loop around the frame's line, if that is known, and now around its
        instruction as well."""
        if frame is None:
            return None
        loop = self._known.get((id(frame.f_code), frame.f_lineno))
        if loop is not None:
            self._at[id(frame.f_code), frame.f_lasti] = loop
        return loop

    def fetching(self, frame: FrameType | None) -> int | None:
        """The iteration that is about to begin, where the header of a training loop is fetching its
        data in `frame` or a caller's; else None."""
        with_loops = self._codes()
        for code, line in _stack(frame):
            for each in loops_of(code.co_filename) if code in with_loops else ():
                if each.trains and each.first == line != each.start:
                    lost = self.given is not None or (code, each.start) in self.lost
                    return None if lost else self.counts.get((code, each.start), 0)
        return None

    def place(self, frame: FrameType | None) -> tuple[LoopKey | None, int | None]:
        """As `iteration`, with the loop that it counts.

        The loop is the outermost one with both a backward and a step, in the nearest frame that has
        one; else the innermost of all. A validation loop, which shares no more than the epochs with
        the last backward, has that backward's number.
        """
        return self._place(lambda: _stack(frame))

    def of_traceback(self, traceback: TracebackType | None) -> int | None:
        """As `iteration`, for where an exception was raised."""
        where: list[tuple[CodeType, int]] = []
        outer = traceback.tb_frame.f_back if traceback is not None else None
        while traceback is not None:
            where.insert(0, (traceback.tb_frame.f_code, traceback.tb_lineno))
            traceback = traceback.tb_next
        where += _stack(outer)
        return self._by_steps(self._place(lambda: where)[1])

    def _place(
        self, stack: Callable[[], Iterable[tuple[CodeType, int]]]
    ) -> tuple[LoopKey | None, int | None]:
        loop = self._loop(stack())
        if loop is None or self.given is not None:
            return loop, self.given
        if self._training is not None and loop not in self._numbering:
            running = self._running(stack())
            # A loop inside of the training loop, as over the parameters, counts something else.
            if self._training in running or (running - {loop}) & self._around:
                loop = self._training
        counted = self.counts.get(loop)
        return (loop, counted - 1) if counted is not None else (None, None)

    def _loop(self, stack: Iterable[tuple[CodeType, int]]) -> LoopKey | None:
        plain: LoopKey | None = None
        with_loops = self._codes()
        for code, line in stack:
            # The code is alive, as the key of its loop's count.
            known = self._known.get((id(code), line))
            if known is not None:
                return known
            if code not in with_loops:
                # Torch's own files, say, which would take long to parse.
                continue
            around = [
                each
                for each in loops_around(code.co_filename, line)
                if (code, each.start) in self.counts
                and (code, each.start) not in self.lost
                and not each.over_optimizers
            ]
            training = [each for each in around if each.trains]
            if training:
                found = self._known[id(code), line] = self._key(code, training[-1].start)
                return found
            if around and plain is None:
                plain = code, around[0].start
        return plain

    def _codes(self) -> set[CodeType]:
        """The code of every loop that has begun."""
        return {code for code, _ in self.counts}

    def _running(self, stack: Iterable[tuple[CodeType, int]]) -> set[LoopKey]:
        return {
            (code, each.start)
            for code, line in stack
            for each in loops_around(code.co_filename, line)
        }


def _stack(frame: FrameType | None) -> Iterator[tuple[CodeType, int]]:
    while frame is not None and frame.f_code.co_filename != _RUNS:
        yield frame.f_code, frame.f_lineno
        frame = frame.f_back


def _by_comprehension(frame: FrameType | None) -> bool:
    """Whether a comprehension of the same file runs what a frame is at."""
    file = frame.f_code.co_filename if frame is not None else None
    while frame is not None:
        code = frame.f_code
        if code.co_filename == file and in_comprehension(code, frame.f_lasti):
            return True
        frame = frame.f_back
    return False


def length_of_loops(frame: FrameType) -> int | None:
    """The product of the lengths of the for-loops around `frame`'s line, where each can be read
    off a variable that is Python's own."""
    found = lengths_of_loops(frame)
    return prod(each or 0 for each in found) if found and None not in found else None


def lengths_of_loops(frame: FrameType) -> list[int | None]:
    """The length of each for-loop around `frame`'s line, None where it cannot be read."""
    return [
        _length(node.iter, frame)
        for node in for_loops(frame.f_code.co_filename)
        if node.lineno < frame.f_lineno <= (node.end_lineno or node.lineno)
    ]


def _length(node: ast.expr, frame: FrameType) -> int | None:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
        if node.func.id in ("range", "trange") and len(node.args) <= 2:
            ends = [in_frame(each, frame) for each in node.args]
            if not all(type(each) is int for each in ends):
                return None
            return max(ends[-1] - (ends[0] if len(ends) == 2 else 0), 0)
        if node.func.id in ("enumerate", "tqdm"):
            return _length(node.args[0], frame)
        return None
    return length(in_frame(node, frame))
