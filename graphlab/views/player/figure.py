"""Draws the graph for the player as SVG: laid out with its failing path, shown without it.

The page reveals that path itself, mark by mark, at the steps where it comes about. The room for the
marks is there from the start, so that nothing moves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any
from xml.etree import ElementTree

from graphlab.language import say
from graphlab.trace.graph import Graph
from graphlab.views.figure import dot, layout, svg
from graphlab.views.figure.colors import DARK, LIGHT
from graphlab.views.figure.drawing import Arrow, Drawing
from graphlab.views.figure.picture import FigureOptions, Level, drawing, plain_text

SIZES = ("width", "height")
# The part of the time limit for each level; the optional levels get less.
SHARES = {"overview": 1.0, "module": 0.25}
LEVELS: tuple[Level, ...] = ("overview", "module")
MARKS = "①②③"
# Keeps room in a box for what the page writes there: which versions of tensors wait in it.
BLANK = "saved v88 ×88"
_TEXT = f"{{{svg.SVG}}}text"


@dataclass(frozen=True, slots=True)
class DrawnLevel:
    """The SVG of one level, the boxes of each node (its own, and that of its output), the box of
    each optimizer, and the boxes and arrows of the failing path."""

    level: str
    svg: str
    home: dict[int, tuple[str, str]]
    optimizers: dict[str, str]
    failing: tuple[str, ...]


def figures(
    graph: Graph | None,
    uid: str,
    timeout: float = 20.0,
    order: Mapping[str, Sequence[str]] | None = None,
) -> tuple[list[DrawnLevel], str]:
    """The graph at each level that could be laid out in time, and a text on why one is missing.
    `order` has the marks of a graph whose backwards all succeed.

    Every id in the SVG begins with `uid`."""
    if graph is None:
        return [], ""
    found: list[DrawnLevel] = []
    problem = ""
    for level in LEVELS if graph.call_of else LEVELS[:1]:
        limit = timeout * SHARES[level]
        look = FigureOptions(level, title="", order=order or {})
        sketch = drawing(graph, look)
        # The narrower the picture, the larger its letters in the pane.
        sketch.across, sketch.tight = False, True
        failing = calmed(sketch)
        _keep_room(sketch, graph)
        tries = [lambda sketch=sketch: dot.figure(sketch), lambda s=sketch: dot.figure(s, True)]
        try:
            laid = layout.lay_out(tries, "svg", limit)
        except layout.LayoutError as error:
            problem = say("player.graph.no_picture", why=str(error))
            continue
        if laid.data is None:
            problem = say("player.graph.too_slow", level=level, seconds=f"{limit:g}")
            continue
        data = svg.with_titles(laid.data, say("figure.title", level=level), plain_text(graph, look))
        boxes = {box.title: box.key for box in sketch.boxes if box.shape == "optimizer"}
        text = _own(data, f"{uid}-{level}")
        found.append(DrawnLevel(level, text, sketch.home, boxes, failing))
    return found, problem


def calmed(sketch: Drawing) -> tuple[str, ...]:
    """Take the red off a drawing; returns the boxes and arrows that were red, as ids end."""
    failing = [box.key for box in sketch.boxes if box.red]
    failing += [_id(arrow) for arrow in sketch.arrows if arrow.red]
    for each in (*sketch.boxes, *sketch.arrows):
        each.red = False
    return tuple(failing)


def _keep_room(sketch: Drawing, graph: Graph) -> None:
    saving = {sketch.home[node][0] for node in graph.saved if node in sketch.home}
    for box in sketch.boxes:
        if box.key in saving:
            box.blank = BLANK


def _id(arrow: Arrow) -> str:
    tail = arrow.source if arrow.source_lane is None else f"{arrow.source}-l{arrow.source_lane}-e"
    head = arrow.target if arrow.target_lane is None else f"{arrow.target}-l{arrow.target_lane}-w"
    return f"{tail}-{head}"


def _own(data: bytes, prefix: str) -> str:
    """The SVG element without heading, scaled to its container, its ids prefixed by `prefix`."""
    root = ElementTree.fromstring(data)
    renamed = {}
    for each in root.iter():
        name = each.get("id")
        if name is not None:
            renamed[f"url(#{name})"] = f"url(#{prefix}-{name})"
            each.set("id", f"{prefix}-{name}")
    for each in root.iter():
        fill = each.get("fill", "")
        if fill in renamed:
            each.set("fill", renamed[fill])
        if each.get("class") == "node":
            _classify(each)
    sizes = [f"--{name}: {root.attrib.pop(name, '0').removesuffix('pt')}px" for name in SIZES]
    root.set("style", "; ".join(sizes))
    root.set("preserveAspectRatio", "xMidYMin meet")
    for tag in ("title", "desc"):
        found = root.find(f"{{{svg.SVG}}}{tag}")
        if found is not None:
            found.set("id", f"{prefix}-{tag}")
    root.set("aria-describedby", f"{prefix}-desc")
    return ElementTree.tostring(root, encoding="unicode")


class MarkOfLine:
    """For the red lines of one box, from above: the number of the mark at whose step a line comes
    about, or 0 for what no mark is at. Of the save's lines those after the second tell what the
    write harms besides."""

    def __init__(self) -> None:
        self._mark = self._lines = 0

    def __call__(self, text: str) -> int:
        begun = MARKS.find(text[:1] or " ") + 1
        self._mark, self._lines = (begun, 1) if begun else (self._mark, self._lines + 1)
        return 2 if self._mark == 1 and self._lines > 2 else self._mark


def _classify(box: ElementTree.Element) -> None:
    """Give the red lines of a box a class by their mark, ``gl-mark0`` to ``gl-mark3``, and empty
    its blank line."""
    mark = MarkOfLine()
    for text in box.iter(_TEXT):
        if text.text == BLANK:
            text.text = ""
            text.set("class", "gl-waits")
        elif text.get("fill") == LIGHT.alarm:
            text.set("class", f"gl-mark{mark(text.text or '')}")


def dark_colors() -> str:
    """CSS that replaces the light theme's colours by the dark theme's."""
    pairs: dict[str, str] = {}
    for light, dark in zip(_flat(astuple(LIGHT)), _flat(astuple(DARK)), strict=True):
        pairs.setdefault(light, dark)
    rules = []
    for light, dark in pairs.items():
        for name in ("fill", "stroke"):
            rules.append(f'.gl-figure [{name}="{light}"] {{ {name}: {dark}; }}')
        rules.append(f'.gl-figure [style*="{light}"] {{ stop-color: {dark} !important; }}')
    return "\n".join(rules)


def _flat(values: Any) -> list[str]:
    if isinstance(values, str):
        return [values]
    return [each for value in values for each in _flat(value)]
