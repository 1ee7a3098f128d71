"""graphlab.render(): the graph behind a tensor, from Python and in notebooks."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

from graphlab.errors import UserError
from graphlab.language import message
from graphlab.trace.graph import Graph

if TYPE_CHECKING:
    from graphlab.views.figure.picture import FigureOptions
from graphlab.language.lists import suggestion
from graphlab.output import files, streams


class Figure:
    """A graph and how to draw it. In a notebook it shows itself; `save` writes it.

    `graph` is plain data (`graphlab.trace.graph.Graph`), taken when the figure was made: what
    the program does later does not change it.
    """

    def __init__(self, graph: Graph, look: FigureOptions, timeout: float = 20.0) -> None:
        self.graph = graph
        self._look = look
        self._timeout = timeout
        self._svg: str | None = None
        self.notice = ""

    @property
    def dot(self) -> str:
        """The figure as DOT text."""
        from graphlab.views.figure.picture import source

        with _untraced():
            return source(self.graph, self._look)

    @property
    def text(self) -> str:
        """The figure as a tree of lines."""
        from graphlab.views.figure.picture import plain_text

        with _untraced():
            return plain_text(self.graph, self._look)

    def save(self, path: str | Path, format: str | None = None, force: bool = True) -> str:
        """Write the figure; the format is the file's extension where `format` does not say.

        Returns the path written: one that ends in ``.dot`` when the layout took too long.

        Raises:
            UserError: for an unknown format, or a file that cannot be written.
        """
        form = chosen_format(str(path), format)
        files.check(str(path), force)
        if form == "text":
            files.write(str(path), self.text, force)
            return str(path)
        made = self._picture(form)
        self.notice = made.notice
        return written(str(path), form, made, force)

    def _picture(self, form: str) -> Any:
        from graphlab.views.figure.layout import LayoutError
        from graphlab.views.figure.picture import picture

        try:
            return picture(self.graph, self._look, form, self._timeout)
        except LayoutError as error:
            raise UserError(
                message("usage.draw.layout", why=str(error)), message("usage.draw.save_dot")
            ) from None

    def _repr_svg_(self) -> str | None:
        if self._svg is None:
            made = self._picture("svg")
            self.notice = made.notice
            self._svg = made.data.decode() if made.form == "svg" else ""
        return self._svg or None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        found = {"text/plain": self.text}
        svg = self._repr_svg_()
        if svg is not None:
            found["image/svg+xml"] = svg
        return {
            kind: data
            for kind, data in found.items()
            if (not include or kind in include) and (not exclude or kind not in exclude)
        }

    def __repr__(self) -> str:
        return f"<graphlab.Figure of {len(self.graph)} nodes, level {self._look.level}>"


def render(
    loss: Any,
    *,
    level: Literal["overview", "module", "op"] = "overview",
    color: Literal["owner", "optimizer", "loss", "version", "memory"] = "owner",
    theme: Literal["light", "dark"] = "light",
    depth: int | None = None,
    title: str = "",
    timeout: float = 20.0,
) -> Figure:
    """The autograd graph behind `loss`: a tensor, several of them, or a dict that names them.

    Names come from the variables of the caller and its callers. Inside ``graphlab.watch()`` every
    node also has its line, and a saved tensor that was changed since says by whom. `timeout` is in
    seconds, for the layout. Works on freed and on stale graphs, and on a tensor without one.

    Raises:
        TypeError: when `loss` holds something that is not a tensor.
    """
    from graphlab.views.figure.picture import FigureOptions

    frame = sys._getframe(1)
    with _untraced():
        graph = _captured(loss, frame)
    name = title or ", ".join(root.name for root in graph.roots)
    return Figure(graph, FigureOptions(level, color, theme, depth, name), timeout)


@contextmanager
def _untraced() -> Iterator[None]:
    """Without the line tracer of an open session, which every call of graphlab's own would run.
    A debugger's or a coverage tool's stays."""
    tracing = sys.gettrace()
    if getattr(tracing, "__module__", None) != "graphlab.observe.hooks.lines.settrace":
        yield
        return
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracing)


def _captured(loss: Any, frame: FrameType) -> Graph:
    import torch

    from graphlab.observe.graph.capture import capture
    from graphlab.observe.observation import open_log

    if isinstance(loss, Mapping):
        roots = {str(name): each for name, each in loss.items()}
    else:
        several = (
            [loss] if isinstance(loss, torch.Tensor) or not isinstance(loss, Iterable) else loss
        )
        roots = {}
        for at, each in enumerate(several):
            names = [name for name, value in frame.f_locals.items() if value is each]
            roots[names[0] if names else f"output {at}"] = each
    for each in roots.values():
        if not isinstance(each, torch.Tensor):
            raise TypeError(f"render() takes tensors, not {type(each).__name__}")
    return capture(roots, frame, session=open_log())


def chosen_format(path: str | None, format: str | None) -> str:
    """The format asked for, or else the one that the file's extension names.

    Raises:
        UserError: for an unknown format, and for a file whose extension names another.
    """
    from graphlab.views.figure.picture import FORMATS

    known = message("usage.draw.formats", names=[*FORMATS])
    suffix = Path(path).suffix.lower().lstrip(".") if path not in (None, "-") else ""
    form = {"txt": "text", "gv": "dot"}.get(suffix, suffix)
    if format is not None:
        if format not in FORMATS:
            unknown = message("usage.draw.no_format", name=format)
            raise UserError(unknown, suggestion(format, [*FORMATS], known))
        if form in (*FORMATS, "html") and form != format:
            raise UserError(
                message("usage.draw.other_format", path=str(path), suffix=suffix, name=format),
                message("usage.draw.by_extension"),
            )
        return format
    if path is not None and path != "-" and form not in FORMATS:
        raise UserError(
            message("usage.draw.no_extension", path=path),
            message("usage.draw.add_format", formats=known),
        )
    return form or "svg"


def written(path: str, form: str, made: Any, force: bool) -> str:
    """Write a picture. One whose layout took too long is DOT text and goes to a .dot file.

    Returns the path written.
    """
    if made.form != form and path != "-":
        path = f"{Path(path).with_suffix('')}.{made.form}"
        files.check(path, force)
    if path == "-":
        streams.document(made.data)
    else:
        files.write(path, made.data, force)
    return path
