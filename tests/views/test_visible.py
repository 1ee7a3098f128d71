"""Whatever a name or a line of source holds, a terminal shows it and obeys nothing of it."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, Group
from rich.panel import Panel
from rich.segment import Segment
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from graphlab.api.explanation import Explanation
from graphlab.text import lines_of, one_line, visible, visible_values
from graphlab.trace.graph import Graph, Leaf, Root, SavedTensor
from graphlab.trace.model import Location
from graphlab.views import console
from graphlab.views.comparison import grids
from graphlab.views.comparison.grids import Cell, Column, Grid
from graphlab.views.console import Screen
from graphlab.views.figure.picture import LEVELS, FigureOptions, picture, plain_text, source
from graphlab.views.terminal.source_line import annotated, fold

STYLE = re.compile("\x1b\\[[0-9;]*m")
ANYTHING = st.text(st.characters(exclude_categories=[]), max_size=80)
SHOWN = [
    ("plain", "plain"),
    ("é 漢字 🙂 ﷺ", "é 漢字 🙂 ﷺ"),
    ("a\nb\tc", "a\nb\tc"),
    ("\x1b[31mred", "\\x1b[31mred"),
    ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
    ("\x9b2J\x7f\x00", "\\x9b2J\\x7f\\x00"),
    ("a\r\x0b\x0c\x85b", "a\\x0d\\x0b\\x0c\\x85b"),
    ("\u202eevil\u2066x\u2069\u200f\u061c", "\\u202eevil\\u2066x\\u2069\\u200f\\u061c"),
    ("\u2028\u2029\ufeff", "\\u2028\\u2029\\ufeff"),
    ("\udcff", "\\udcff"),
]
EVIL = "n\x1b[2J\u202e\x9b\ud800\x00m"


@pytest.mark.parametrize(("text", "expected"), SHOWN)
def test_what_becomes_of_a_text(text: str, expected: str) -> None:
    assert visible(text) == expected
    assert visible(expected) == expected


def test_a_name_keeps_to_its_line() -> None:
    assert one_line("a\n\tb\x1b") == "a\\n    b\\x1b"


@given(ANYTHING, ANYTHING)
def test_part_by_part_it_is_the_same(one: str, other: str) -> None:
    assert visible(one + other) == visible(one) + visible(other)
    assert one_line(one + other) == one_line(one) + one_line(other)
    assert visible(one).encode().decode() == visible(one)
    assert "\x1b" not in visible(one)


def test_lines_are_those_of_python() -> None:
    assert lines_of("a\x0cb\u2028c\n\x85\n") == ["a\x0cb\u2028c", "\x85"]
    assert lines_of("") == []
    assert lines_of("a\n\nb") == ["a", "", "b"]


def test_values_of_every_kind() -> None:
    assert visible_values({"\x1b": [1, None, ("\x00", True)]}) == {
        "\\x1b": [1, None, ["\\x00", True]]
    }


class Raw:
    """A renderable that hands the console a segment of its own."""

    def __rich_console__(self, console: Console, options: object) -> object:
        yield Segment(f"{EVIL}\n")


def table() -> Table:
    found = Table(EVIL, title=EVIL)
    found.add_row(EVIL)
    found.add_row(Text(EVIL, "red"))
    return found


def tree() -> Tree:
    found = Tree(EVIL)
    found.add(Text(EVIL, "bold"))
    return found


@pytest.mark.parametrize(
    "part",
    [EVIL, Text(EVIL), Text.assemble("a ", (EVIL, "red")), table(), tree(), Panel(EVIL), Raw()],
    ids=["str", "text", "spans", "table", "tree", "panel", "segment"],
)
@pytest.mark.parametrize("width", [12, 80])
def test_no_renderable_gets_past_the_screen(part: object, width: int) -> None:
    file = io.StringIO()
    screen = Screen(file=file, width=width, force_terminal=True, color_system="256")
    console.emit(screen, Group(part, Text()))  # pyright: ignore[reportArgumentType]
    shown = STYLE.sub("", file.getvalue())
    assert shown.encode().decode().replace("\n", "").isprintable()
    if width == 80 and not isinstance(part, Table):
        # A table measures its cells before anything is rendered: ours have visible ones.
        assert "n\\x1b[2J\\u202e\\x9b\\ud800\\x00m" in shown
    assert all(cell_len(line) <= width for line in shown.split("\n"))


def test_styles_stay_where_they_were() -> None:
    file = io.StringIO()
    screen = Screen(file=file, width=80, force_terminal=True, color_system="standard")
    screen.print(Text.assemble("\x00", ("b\x1b", "red"), "c"))
    assert file.getvalue() == "\\x00\x1b[31mb\\x1b\x1b[0mc\n"


def test_an_explanation_is_harmless_on_any_console() -> None:
    file = io.StringIO()
    Console(file=file, width=80).print(Explanation(f"{EVIL}: x", (), None, ""))
    assert "\\x1b[2J\\u202e" in file.getvalue()
    assert file.getvalue().replace("\n", "").isprintable()


def location(code: str, start: int, end: int, indent: int = 4) -> Location:
    return Location("f.py", 3, indent + start + 1, 3, indent + end + 1, "f", code, indent)


@pytest.mark.parametrize(
    ("code", "marked"),
    [
        ("y = x.add_(1)", "x.add_(1)"),
        ("損失 = 漢字.add_(1)", "漢字.add_(1)"),
        ("é = é.add_(1)", "é.add_(1)"),
        ("a = '\x1b[31m'; x.add_(1)", "x.add_(1)"),
        ("a\t=\tx.add_(1)  # \u202e", "x.add_(1)"),
        ("f('\x1b')", "'\x1b'"),
        ("🙂; x.add_(1)", "x.add_(1)"),
    ],
)
def test_carets_stand_under_what_they_mean(code: str, marked: str) -> None:
    at = code.index(marked)
    rows = annotated(location(code, at, at + len(marked)), "here", "", 80, "red")
    line, carets = (row.plain.partition("│ ")[2] for row in rows)
    assert line == one_line(code)
    before, _, rest = carets.partition("^")
    assert cell_len(before) == cell_len(one_line(code[:at]))
    assert 1 + rest.count("^") == cell_len(one_line(marked))
    assert carets.endswith("^ here")


@pytest.mark.parametrize(("code", "start", "end"), [("", 0, 0), ("x", 50, 60), ("x = 1", 4, 2)])
def test_a_place_that_is_not_in_the_line_loses_no_word(code: str, start: int, end: int) -> None:
    rows = annotated(location(code, start, end), "what happened", "", 80, "red")
    assert "^ what happened" in rows[-1].plain


@given(ANYTHING, st.integers(1, 30))
def test_folded_pieces_are_the_text(text: str, room: int) -> None:
    text = one_line(text)
    pieces = fold(text, room)
    assert "".join(pieces) == text
    assert all(sum(map(cell_len, each)) <= room or len(each) == 1 for each in pieces)


def test_a_very_long_line_is_folded_at_once() -> None:
    assert len(fold("x" * 10**6, 60)) == -(-(10**6) // 60)


def test_tables_are_harmless_in_every_form() -> None:
    grid = Grid("t", (Column("a", left=True), Column("b")), ((Cell(EVIL), Cell("a\nb|c")),))
    for text in (console.text(grids.printed(grid)), grids.markdown(grid), grids.html(grid)):
        assert "\\x1b[2J" in text
        assert text.replace("\n", "").isprintable()
    assert "a\\nb\\|c" in grids.markdown(grid)


def test_a_figure_of_hostile_names_is_drawn() -> None:
    """XML forbids control characters: with one of them the SVG would not parse."""
    saved = SavedTensor(EVIL, "stale", (2,), "float32", 8, 0, 1, 2, EVIL, by=EVIL)
    graph = Graph(
        operations=(EVIL, "AccumulateGrad"),
        inputs=((1,), ()),
        roots=(Root(EVIL, 0, EVIL, raised=EVIL),),
        leaves={1: Leaf(EVIL, (2,), "float32", 8)},
        saved={0: (saved,)},
        target=EVIL,
    )
    for level in LEVELS:
        look = FigureOptions(level, title=EVIL, caption=EVIL)
        ElementTree.fromstring(picture(graph, look).data)
        for text in (plain_text(graph, look), source(graph, look)):
            assert text.replace("\n", "").replace("\t", "").isprintable()
    assert picture(graph, FigureOptions(), "json").data
