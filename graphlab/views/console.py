"""Where everything is printed: results and notices in the terminal, or as text. No letter gets past
it that a terminal would obey."""

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
    """Results go here. 80 columns where there is no terminal to ask."""
    return _console(streams.out())


def stderr() -> Console:
    """Progress and notices go here."""
    return _console(streams.err())


def emit(console: Console, *parts: RenderableType) -> None:
    """Print without the blanks that rich pads lines with: a pipe or a copied text keeps none."""
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    console.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
    console.file.flush()


def text(*parts: RenderableType, width: int = 80) -> str:
    """The same as one string without colour, for a message that is shown elsewhere."""
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
    """A rich console whose own styles are the only escapes that it prints.

    Whatever is printed comes through `render`, however deep inside something else: there a text is
    made visible before it is laid out, so that lines are folded at the width which they will have.
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
            # rich's own moves of the cursor, for a progress line, are marked as such.
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
