"""Draws single steps of the player as figures, all of one size: a page each, for slides and films.

The drawing is laid out with everything that will ever stand in it. A step only changes colours, so
that from frame to frame nothing moves.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from graphlab.language import say
from graphlab.text import one_line
from graphlab.trace.film import Film
from graphlab.trace.finding import Finding
from graphlab.trace.model import Trace
from graphlab.views.figure import dot, layout
from graphlab.views.figure.colors import THEMES, Theme
from graphlab.views.figure.picture import DPI, FigureOptions, drawing
from graphlab.views.figure.words import clean, width
from graphlab.views.player.data import data
from graphlab.views.player.figure import MarkOfLine, calmed
from graphlab.views.player.order import marks

# The width of the texts above the graph, in characters, and their font size.
ACROSS, SIZE = 96, 15
LIT = {"light": "#d98e00", "dark": "#e69f00"}
# Appended to a colour: how much of it is seen of what is not there yet.
PALE, GONE = "38", "00"

_BOX = re.compile(r"\t(\w+) \[label=<(?=<TABLE)")
_ARROW = re.compile(r"\t(\w+)(?::(l\d+):e)? -> (\w+)(?::(l\d+):w)? \[")
_COLOR = re.compile(r"#[0-9a-f]{6}(?![0-9a-f])")
_FONT = re.compile(r'(<FONT POINT-SIZE="\d+" COLOR=")(#[0-9a-f]{6})(">(?:<B>)?)([^<]*)')


@dataclass(frozen=True, slots=True)
class Frame:
    """One step: its number, from 0, its sentence, and its figure as DOT text."""

    step: int
    said: str
    dot: str

    def png(self, timeout: float) -> bytes:
        """The figure as a PNG.

        Raises:
            LayoutError: Graphviz failed, or took longer than `timeout` seconds.
        """
        text = self.dot.replace("{\n", f"{{\n\tdpi={DPI}\n", 1)
        laid = layout.lay_out([lambda: text], "png", timeout)
        if laid.data is None:
            raise layout.LayoutError(say("player.frames.too_slow", seconds=f"{timeout:g}"))
        return laid.data


class Frames:
    """The frames of one recorded iteration that has a graph."""

    def __init__(
        self, trace: Trace, film: Film, findings: Sequence[Finding], theme: Any = "light"
    ) -> None:
        assert film.graph is not None
        self._theme, self._lit = THEMES[theme], LIT[theme]
        self._data = data(trace, film, findings)
        order = marks(film.events, film.optimizers)
        sketch = drawing(film.graph, FigureOptions(theme=theme, order=order))
        self._failing = set(calmed(sketch))
        self._home = sketch.home
        self._optimizers = {box.title: box.key for box in sketch.boxes if box.shape == "optimizer"}
        self._born: dict[str, int] = {}
        for at, step in enumerate(self._data["steps"]):
            for node in step["made"]:
                for box in self._home.get(node, ()):
                    self._born.setdefault(box, at)
        self._lines = dot.figure(sketch).splitlines(keepends=True)
        self._texts = [self._told(at) for at in range(len(self))]
        self._most = max(len(text) for text in self._texts)

    def __len__(self) -> int:
        return len(self._data["steps"])

    def of(self, steps: Sequence[int]) -> Iterator[Frame]:
        """The frames of these steps, which count from 0."""
        for step in steps:
            yield Frame(step, self._data["steps"][step]["say"], self._drawn(step))

    def _drawn(self, at: int) -> str:
        step = self._data["steps"][at]
        lit = {box for node in step["nodes"] for box in self._home.get(node, ())}
        lit |= {self._optimizers[each] for each in step["optimizers"] if each in self._optimizers}
        shown = self._data["marks"] or [len(self)] * 3
        failing = at == shown[2]
        lines = []
        for line in self._lines:
            box, arrow = _BOX.match(line), _ARROW.match(line)
            if box:
                key = box[1]
                color = self._theme.alarm if failing and key in self._failing else None
                color = color or (self._lit if key in lit and not failing else None)
                line = self._box(line, at, shown, color, self._born.get(key, 0) > at)
            elif arrow:
                name = "-".join(_ends(arrow))
                if failing and name in self._failing:
                    line = line.replace(self._theme.line, self._theme.alarm).replace(
                        " [", " [penwidth=3 ", 1
                    )
                if max(self._born.get(arrow[1], 0), self._born.get(arrow[3], 0)) > at:
                    line = _COLOR.sub(rf"\g<0>{PALE}", line)
            elif line.startswith("\tlabel="):
                line = self._heading(at)
            lines.append(line)
        return "".join(lines)

    def _box(self, line: str, at: int, shown: list[int], color: str | None, pale: bool) -> str:
        # All borders are equally wide, so that a lit one takes no more room.
        line = re.sub(r'<TABLE BORDER="[123]"', '<TABLE BORDER="3"', line, count=1)
        if color is not None:
            line = re.sub(r'(<TABLE BORDER="3"[^>]* COLOR=")[^"]*', rf"\g<1>{color}", line, count=1)
        line = _FONT.sub(_revealing(self._theme, at, shown), line)
        return _COLOR.sub(rf"\g<0>{PALE}", line) if pale else line

    def _told(self, at: int) -> list[str]:
        step = self._data["steps"][at]
        code = self._data["files"][step["file"]]["lines"][step["line"] - 1].strip()
        count = say("player.page.count", step=at + 1, total=len(self))
        said = one_line(step["say"].replace("\n", " "))
        return [f"{count} · {step['here']}: {clean(code, 70)}", *textwrap.wrap(said, ACROSS)]

    def _heading(self, at: int) -> str:
        first, *rest = self._texts[at]
        lines = [*rest, *[" "] * (self._most - len(self._texts[at]))]
        room = round(max(width("n" * ACROSS, SIZE) * 0.8, 600))
        rows = [_row(f"<B>{escape(first)}</B>", SIZE + 2, self._theme.ink, room)]
        rows += [_row(escape(each), SIZE, self._theme.ink, room) for each in lines]
        table = '<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="2">'
        return f"\tlabel=<{table}{''.join(rows)}</TABLE>>\n"


def _row(inner: str, size: int, color: str, room: int) -> str:
    font = f'<FONT POINT-SIZE="{size}" COLOR="{color}">{inner}</FONT>'
    return f'<TR><TD ALIGN="LEFT" WIDTH="{room}">{font}</TD></TR>'


def _ends(arrow: re.Match[str]) -> Iterator[str]:
    """The ends of an arrow as the ids of the player's figure name them."""
    tail, tail_lane, head, head_lane = arrow.groups()
    yield tail
    if tail_lane:
        yield from (tail_lane, "e")
    yield head
    if head_lane:
        yield from (head_lane, "w")


def _revealing(theme: Theme, at: int, shown: list[int]) -> Any:
    """A replacement for the texts of a box: those after a mark are hidden until its step."""
    mark = MarkOfLine()

    def of(match: re.Match[str]) -> str:
        head, color, tail, text = match.groups()
        if color != theme.alarm:
            return match[0]
        number = mark(text)
        if at < (shown[number - 1] if number else shown[1]):
            return f"{head}{color}{GONE}{tail}{text}"
        # What was saved is no alarm before the write.
        color = theme.ink if number == 1 and at < shown[1] else color
        return f"{head}{color}{tail}{text}"

    return of
