"""The console that everything is printed with: no text gets past it that a terminal would obey."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from graphlab.views.visible import visible


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
