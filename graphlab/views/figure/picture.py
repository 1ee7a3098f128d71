"""From a graph to a figure in one of its formats: which level, how careful, and when to give up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from rich.console import RenderableType

from graphlab.trace.graph import Graph, dumps
from graphlab.views.console import Screen
from graphlab.views.figure import dot, layout, svg, tree
from graphlab.views.figure.colors import THEMES, Overlay, Palette
from graphlab.views.figure.drawing import Drawing
from graphlab.views.figure.modules import modules
from graphlab.views.figure.overview import overview

Level = Literal["overview", "module", "op"]
LEVELS: tuple[Level, ...] = ("overview", "module", "op")
FORMATS = ("svg", "png", "pdf", "dot", "json", "text")
# Dots per inch of a PNG: sharp at the width of a slide.
DPI = "144"


@dataclass(frozen=True, slots=True)
class FigureOptions:
    """What a figure shows of its graph, and how."""

    level: Level = "overview"
    overlay: Overlay = "owner"
    theme: Literal["light", "dark"] = "light"
    depth: int | None = None
    title: str = ""
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure's bytes in the format `form`, which is ``dot`` where no layout was finished in
    time; `notice` says so, or what was left out."""

    data: bytes
    form: str
    notice: str = ""


def source(graph: Graph, options: FigureOptions, cheap: bool = False) -> str:
    """The DOT text."""
    if options.level == "op":
        return dot.operations(
            graph, _palette(graph, options), options.title, options.caption, cheap
        )
    return dot.figure(drawing(graph, options), cheap)


def drawing(graph: Graph, options: FigureOptions) -> Drawing:
    """The boxes and arrows of the overview or the module level."""
    palette = _palette(graph, options)
    if options.level == "module":
        return modules(graph, palette, options.title, options.caption, options.depth)
    return overview(graph, palette, options.title, options.caption)


def text(graph: Graph, options: FigureOptions) -> RenderableType:
    """The figure as a tree for the terminal."""
    if options.level == "op":
        return tree.of_operations(graph, options.title)
    return tree.of_drawing(drawing(graph, options))


def picture(
    graph: Graph, options: FigureOptions, form: str = "svg", timeout: float = 20.0
) -> Picture:
    """The figure in `form`, any of FORMATS but text.

    Raises:
        LayoutError: when Graphviz refuses, or there is none.
    """
    if form == "json":
        return Picture(dumps(graph).encode(), form)
    if form == "dot":
        return Picture(source(graph, options).encode(), form)
    simpler = _simpler(graph, options)
    tries: list[Callable[[], str]] = [
        lambda: _for_format(source(graph, options), form),
        lambda: _for_format(source(graph, simpler, cheap=True), form),
    ]
    laid = layout.lay_out(tries, form, timeout)
    if laid.data is None:
        return Picture(
            source(graph, options).encode(),
            "dot",
            f"no layout in {timeout:g} seconds: the DOT text was kept instead of the {form}",
        )
    data = svg.finished(laid.data, options.title, options.caption) if form == "svg" else laid.data
    return Picture(data, form, _said(options, simpler) if laid.attempt else "")


def render_dot(text: str, form: str, title: str, timeout: float = 20.0) -> Picture:
    """A figure from DOT text that another tool has made."""
    if form == "dot":
        return Picture(text.encode(), form)
    laid = layout.lay_out([lambda: text], form, timeout)
    if laid.data is None:
        return Picture(text.encode(), "dot", f"no layout in {timeout:g} seconds: kept the DOT text")
    return Picture(svg.finished(laid.data, title) if form == "svg" else laid.data, form)


def _palette(graph: Graph, options: FigureOptions) -> Palette:
    return Palette(graph, options.overlay, THEMES[options.theme])


def _simpler(graph: Graph, options: FigureOptions) -> FigureOptions:
    """The second try: one level up, where that has something to fold."""
    up: dict[Level, Level] = {"op": "module", "module": "overview", "overview": "overview"}
    return replace(options, level=up[options.level] if graph.call_of else options.level, depth=None)


def _said(options: FigureOptions, drawn: FigureOptions) -> str:
    if drawn.level == options.level:
        return "the layout took too long: it was drawn with less care"
    return f"the layout took too long at level {options.level}: drawn at level {drawn.level}"


def _for_format(text: str, form: str) -> str:
    return text.replace("{\n", f"{{\n\tdpi={DPI}\n", 1) if form == "png" else text


def plain_text(graph: Graph, options: FigureOptions) -> str:
    """The tree without colour, 120 columns wide."""
    console = Screen(width=120, color_system=None)
    with console.capture() as captured:
        console.print(text(graph, options))
    return captured.get()
