"""Renders a graph as a figure in one of several formats, simplified if the layout is slow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
# Dots per inch of a PNG: enough for the width of a slide.
DPI = "144"


@dataclass(frozen=True, slots=True)
class FigureOptions:
    """The level, colours and texts of a figure. `depth` is for the module level; None chooses
    it."""

    level: Level = "overview"
    overlay: Overlay = "owner"
    theme: Literal["light", "dark"] = "light"
    depth: int | None = None
    title: str = ""
    caption: str = ""
    # Marks for losses and optimizers, in the order in which they ran (`order.marks`).
    order: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Picture:
    """The bytes of a figure in the format `form`. That is ``dot`` if no layout finished in time;
    `notice` then says so, and also if the figure was simplified."""

    data: bytes
    form: str
    notice: str = ""


def source(graph: Graph, options: FigureOptions, cheap: bool = False) -> str:
    """The DOT text of the figure; `cheap` limits the work of the layout."""
    if options.level == "op":
        return dot.operations(
            graph, _palette(graph, options), options.title, options.caption, cheap
        )
    return dot.figure(drawing(graph, options), cheap)


def drawing(graph: Graph, options: FigureOptions) -> Drawing:
    """The drawing of the overview or of the module level."""
    palette = _palette(graph, options)
    if options.level == "module":
        return modules(graph, palette, options.title, options.caption, options.depth)
    return overview(graph, palette, options.title, options.caption, options.order)


def text(graph: Graph, options: FigureOptions) -> RenderableType:
    """The figure as a tree for the terminal."""
    if options.level == "op":
        return tree.of_operations(graph, options.title)
    return tree.of_drawing(drawing(graph, options))


def picture(
    graph: Graph, options: FigureOptions, form: str = "svg", timeout: float = 20.0
) -> Picture:
    """The figure in the format `form`: one of FORMATS, except text. `timeout` is in seconds.

    Raises:
        LayoutError: Graphviz rejects the text, or is not installed.
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
    data = (
        svg.with_titles(laid.data, options.title, options.caption) if form == "svg" else laid.data
    )
    return Picture(data, form, _said(options, simpler) if laid.attempt else "")


def render_dot(text: str, form: str, title: str, timeout: float = 20.0) -> Picture:
    """A figure from DOT text that another tool made; raises as `picture` does."""
    if form == "dot":
        return Picture(text.encode(), form)
    laid = layout.lay_out([lambda: text], form, timeout)
    if laid.data is None:
        return Picture(text.encode(), "dot", f"no layout in {timeout:g} seconds: kept the DOT text")
    return Picture(svg.with_titles(laid.data, title) if form == "svg" else laid.data, form)


def _palette(graph: Graph, options: FigureOptions) -> Palette:
    return Palette(graph, options.overlay, THEMES[options.theme])


def _simpler(graph: Graph, options: FigureOptions) -> FigureOptions:
    """The options of the second try: one level higher, if the graph has module calls."""
    up: dict[Level, Level] = {"op": "module", "module": "overview", "overview": "overview"}
    return replace(options, level=up[options.level] if graph.call_of else options.level, depth=None)


def _said(options: FigureOptions, drawn: FigureOptions) -> str:
    if drawn.level == options.level:
        return "the layout took too long: it was drawn with less care"
    return f"the layout took too long at level {options.level}: drawn at level {drawn.level}"


def _for_format(text: str, form: str) -> str:
    return text.replace("{\n", f"{{\n\tdpi={DPI}\n", 1) if form == "png" else text


def plain_text(graph: Graph, options: FigureOptions) -> str:
    """The figure as a tree of plain text, 120 columns wide."""
    console = Screen(width=120, color_system=None, force_jupyter=False)
    with console.capture() as captured:
        console.print(text(graph, options))
    return captured.get()
