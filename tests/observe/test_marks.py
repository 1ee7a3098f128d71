"""Marks inside a module's call that are one entry are the same marks once they are read."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from graphlab.observe import marks as module
from graphlab.observe.marks import Marks

CODE = (lambda: None).__code__
# How many nodes a call makes before each mark inside it.
CALLS = st.lists(st.lists(st.integers(0, 3), max_size=5), max_size=6)


def both(calls: list[list[int]]) -> tuple[Marks, Marks, int]:
    """The marks of these calls, folded and each noted, and how many nodes were made."""
    folded, noted, seq = Marks(), Marks(), 0
    for number, steps in enumerate(calls):
        begin = (seq, CODE, 7, 100 + number)
        inside, made = [], 0
        for at, more in enumerate(steps):
            made += more
            inside.append((made, at % 2 == 0, 200 + at))
        for marks in (folded, noted):
            marks.append(begin)
        folded.fold(begin, tuple(inside))
        noted += [(seq + n, CODE, 7 if begins else ~7, m) for n, begins, m in inside]
        seq += made + 1
        for marks in (folded, noted):
            marks.append((seq, CODE, ~7, None))
    return folded, noted, seq


@given(CALLS)
def test_a_node_has_the_same_mark(calls: list[list[int]]) -> None:
    folded, noted, seq = both(calls)
    for each in range(-1, seq + 2):
        at = noted.index_of(each)
        assert folded.at(each) == (noted[at] if at >= 0 else None)
    assert [*folded.unfolded()] == [*noted]
    # What comes after is folded once more.
    begin: Any = (seq, CODE, 7, 1)
    for marks in (folded, noted):
        marks.append(begin)
    folded.fold(begin, ((0, True, 2), (1, False, 1)))
    noted += [(seq, CODE, 7, 2), (seq + 1, CODE, ~7, 1)]
    assert [*folded.unfolded()] == [*noted] == [*folded.unfolded()]


@given(CALLS)
def test_what_is_let_go_of_is_counted(calls: list[list[int]]) -> None:
    keep, module.KEEP_MARKS = module.KEEP_MARKS, 2
    try:
        folded, noted, _ = both(calls)
        folded.trim()
        assert folded.dropped + len(folded.unfolded()) == len(noted)
        assert [*folded] == [*noted][folded.dropped :]
    finally:
        module.KEEP_MARKS = keep
