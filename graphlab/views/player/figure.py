"""Draws the graph for the player as SVG, without stale tensors and errors.

The page marks those itself, at the step where they come about.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace
from typing import Any
from xml.etree import ElementTree

from graphlab.trace.graph import Graph
from graphlab.views.figure import dot, layout, svg
from graphlab.views.figure.colors import DARK, LIGHT
from graphlab.views.figure.picture import FigureOptions, Level, drawing

SIZES = ("width", "height")
# The part of the time limit for each level; the optional levels get less.
SHARES = {"overview": 1.0, "module": 0.25}
LEVELS: tuple[Level, ...] = ("overview", "module")


@dataclass(frozen=True, slots=True)
class DrawnLevel:
    """The SVG of one level, the boxes of each node (its own, and that of its output), and the box
    of each optimizer."""

    level: str
    svg: str
    home: dict[int, tuple[str, str]]
    optimizers: dict[str, str]


def figures(graph: Graph | None, uid: str, timeout: float = 20.0) -> tuple[list[DrawnLevel], str]:
    """The graph at each level that could be laid out in time, and a text on why one is missing.

    Every id in the SVG begins with `uid`."""
    if graph is None:
        return [], ""
    plain = without_problems(graph)
    found: list[DrawnLevel] = []
    problem = ""
    for level in LEVELS if graph.call_of else LEVELS[:1]:
        limit = timeout * SHARES[level]
        sketch = drawing(plain, FigureOptions(level, title=""))
        sketch.across = False
        tries = [lambda sketch=sketch: dot.figure(sketch), lambda s=sketch: dot.figure(s, True)]
        try:
            laid = layout.lay_out(tries, "svg", limit)
        except layout.LayoutError as error:
            problem = f"Graphviz made no picture: {error}"
            continue
        if laid.data is None:
            problem = f"Level {level} is left out: {limit:g} seconds did not suffice to lay it out."
            continue
        text = _own(svg.with_titles(laid.data, f"The graph, level {level}"), f"{uid}-{level}")
        boxes = {box.title: box.key for box in sketch.boxes if box.shape == "optimizer"}
        found.append(DrawnLevel(level, text, sketch.home, boxes))
    return found, problem


def without_problems(graph: Graph) -> Graph:
    """The graph with all saved tensors as they were, and losses that did not raise."""
    return replace(
        graph,
        roots=tuple(replace(root, raised=None) for root in graph.roots),
        saved={
            node: tuple(replace(each, state="fresh", by="", at=None) for each in slots)
            for node, slots in graph.saved.items()
        },
    )


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
    sizes = [f"--{name}: {root.attrib.pop(name, '0').removesuffix('pt')}px" for name in SIZES]
    root.set("style", "; ".join(sizes))
    root.set("preserveAspectRatio", "xMidYMin meet")
    return ElementTree.tostring(root, encoding="unicode")


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
