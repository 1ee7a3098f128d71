"""Prints results and notices, with control characters from the program's data made visible."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from itertools import accumulate
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from graphlab.output import streams
from graphlab.text import visible


def stdout() -> Console:
    """The console for results; 80 columns wide if it is no terminal."""
    return _console(streams.out())


def stderr() -> Console:
    """The console for progress and notices."""
    return _console(streams.err())


def emit(console: Console, *parts: RenderableType) -> None:
    """Print `parts` without the trailing blanks that rich pads lines with."""
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    console.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
    console.file.flush()


def text(*parts: RenderableType, width: int = 80) -> str:
    """`parts` as one string without colours, as `emit` would print them."""
    file = io.StringIO()
    emit(Screen(file=file, width=width, color_system=None, highlight=False, emoji=False,
                markup=False, force_jupyter=False), *parts)  # fmt: skip
    return file.getvalue()


def _console(file: TextIO) -> Console:
    console = Screen(file=file, highlight=False, soft_wrap=False, emoji=False, markup=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 80
    return console


class Screen(Console):
    """A rich console that prints no escape sequences but those of its own styles.

    rich calls `render` for everything that is printed, nested parts included. Text is made visible
    there, before it is laid out, so that lines are folded at their final width.
    """

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        if isinstance(renderable, str):
            renderable = visible(renderable)
        elif isinstance(renderable, Text):
            renderable = _shown(renderable)
        for segment in super().render(renderable, options):
            text = visible(segment.text)
            # rich marks its own cursor movements, for progress lines, as control segments.
            kept = segment.control or text == segment.text
            yield segment if kept else Segment(text, segment.style)


def _shown(text: Text) -> Text:
    plain = visible(text.plain)
    if plain == text.plain:
        return text
    starts = [0, *accumulate(len(visible(letter)) for letter in text.plain)]
    found = text.blank_copy(plain)
    for span in text.spans:
        found.stylize(span.style, starts[span.start], starts[min(span.end, len(starts) - 1)])
    return found
