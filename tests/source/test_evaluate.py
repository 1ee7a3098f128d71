"""From an expression to its value: what is stored is found, and nothing of the program runs."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from graphlab.source.evaluate import constant, evaluate, in_frame
from graphlab.source.objects import LOST, lookup
from tests.source.written import expression


class Drawing:
    """Each reading of `rows` is another value; the program must not find one of them taken."""

    drawn = 0

    def __init__(self) -> None:
        self.kept = [5, 6]

    @property
    def rows(self) -> list[int]:
        type(self).drawn += 1
        return [self.drawn]

    def __getitem__(self, key: Any) -> Any:
        type(self).drawn += 1
        return key


SPACE: dict[str, Any] = {
    "x": 1,
    "net": SimpleNamespace(layers=[10, {"a": 20}], name="net"),
    "pair": (1, 2),
    "drawing": Drawing(),
    "f": lambda: pytest.fail("a function of the program was called"),
    "i": 0,
}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x", 1),
        ("missing", LOST),
        ("3", 3),
        ("'a'", "a"),
        ("None", None),
        ("net.name", "net"),
        ("net.layers[0]", 10),
        ("net.layers[-2]", 10),
        ("net.layers[1]['a']", 20),
        ("net.layers[1]['b']", LOST),
        ("net.layers[7]", LOST),
        ("net.missing.deeper", LOST),
        ("missing.deeper[0]", LOST),
        ("pair[1]", 2),
        ("drawing.kept[0]", 5),
        ("drawing.rows", LOST),
        ("drawing.rows[0]", LOST),
        ("drawing[0]", LOST),
        ("(x, pair[0])", [1, 1]),
        ("[x, missing]", [1, LOST]),
        # What would have to be computed is not.
        ("f()", LOST),
        ("x + 1", LOST),
        ("-x", LOST),
        ("net.layers[i]", LOST),
        ("pair[0:1]", LOST),
        ("pair[f()]", LOST),
        ("x if x else x", LOST),
        ("[x for x in pair]", LOST),
        ("(lambda: x)", LOST),
        ("f'{x}'", LOST),
        ("(x := 2)", LOST),
        ("{'a': x}", LOST),
        ("x == 1", LOST),
    ],
)
def test_values(source: str, expected: Any) -> None:
    before = Drawing.drawn
    assert evaluate(expression(source), lambda name: lookup(name, SPACE)) == expected
    assert Drawing.drawn == before


@pytest.mark.parametrize(
    ("source", "expected"),
    [("3", 3), ("'k'", "k"), ("-2", -2), ("-2.5", -2.5), ("--2", 2), ("-True", LOST),
     ("-'a'", LOST), ("+2", LOST), ("x", LOST), ("1 + 1", LOST)],
)  # fmt: skip
def test_constants(source: str, expected: Any) -> None:
    assert constant(expression(source)) == expected


def test_in_a_frame_variables_come_before_globals_and_there_are_no_builtins() -> None:
    sys_ = "a variable of this function's"
    frame = sys._getframe()
    assert in_frame(expression("sys_"), frame) == sys_
    assert in_frame(expression("SPACE['pair'][0]"), frame) == 1
    assert in_frame(expression("print"), frame) is LOST
