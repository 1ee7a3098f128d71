"""Renders one line of the user's source with carets under a part of it, folded to the width."""

from __future__ import annotations

import textwrap

from rich.cells import cell_len
from rich.text import Text

from graphlab.text import one_line
from graphlab.trace.model import Location


def annotated(at: Location | None, label: str, version: str, width: int, style: str) -> list[Text]:
    """One source line with its label, such as::

        1 → 2   37 │ optimizer_D.step()
                   │ ^^^^^^^^^^^^^^^^^^ 2. written here

    `version` is the text of the first column. Long lines are folded, never cut.
    """
    gutter = 8
    label = one_line(label)
    number = str(at.line) if at is not None else "?"
    head = f"{version:>{gutter}} {number:>4} │ "
    blank = " " * (cell_len(head) - 2) + "│ "
    room = max(20, width - cell_len(head))
    if at is None:
        rows = wrap(label, room)
        return [
            Text.assemble((blank if row else head, "dim"), (text, style))
            for row, text in enumerate(rows)
        ]
    code = one_line(at.code)
    start, end = _span(at)
    lines = []
    offset = 0
    for chunk in fold(code, room):
        prefix = head if offset == 0 else blank
        lines.append(Text.assemble((prefix, "dim"), chunk))
        first, last = max(start - offset, 0), min(end - offset, max(len(chunk), 1))
        offset += len(chunk)
        if first >= last:
            continue
        pad = " " * cell_len(chunk[:first])
        carets = "^" * max(1, cell_len(chunk[first:last]))
        tail = f" {label}" if end <= offset or offset >= len(code) else ""
        lines.extend(_labelled(blank, pad, carets, tail, room, style))
    return lines


def wrap(text: str, room: int) -> list[str]:
    """The words of `text` in lines at most `room` cells wide."""
    # textwrap counts characters; a private one after each that takes two cells makes up for it.
    filled = "".join(each + "\ue000" * (cell_len(each) - 1) for each in text)
    return [line.replace("\ue000", "") for line in textwrap.wrap(filled, room)]


def fold(text: str, room: int) -> list[str]:
    """Pieces of `text`, at most `room` cells wide, which joined are `text`. They break after a
    space or comma if there is one near the end."""
    pieces = []
    begin = 0
    while True:
        cut, width = begin, 0
        while cut < len(text) and width + cell_len(text[cut]) <= room:
            width += cell_len(text[cut])
            cut += 1
        if cut == len(text):
            return [*pieces, text[begin:]]
        near = max(text.rfind(mark, begin + (cut - begin) * 2 // 3, cut) for mark in " ,(")
        end = near + 1 if near > begin else max(begin + 1, cut)
        pieces.append(text[begin:end])
        begin = end


def _span(at: Location) -> tuple[int, int]:
    """The columns of the carets in the stripped line as it is shown, where an escaped character is
    wider than in the source."""
    last = max(len(at.code) - 1, 0)
    start = min(max(0, at.column - 1 - at.indent), last)
    end = start + max(1, at.end_column - at.column)
    shown = len(one_line(at.code[:start]))
    return shown, shown + max(1, len(one_line(at.code[start:end])))


def _labelled(blank: str, pad: str, carets: str, label: str, room: int, style: str) -> list[Text]:
    if cell_len(pad) + cell_len(carets) + cell_len(label) <= room:
        return [Text.assemble((blank, "dim"), pad, (carets + label, style))]
    lines = [Text.assemble((blank, "dim"), pad, (carets, style))]
    words = label.split()
    row = ""
    for word in words:
        if row and cell_len(row) + 1 + cell_len(word) > room:
            lines.append(Text.assemble((blank, "dim"), (row, style)))
            row = word
        else:
            row = f"{row} {word}".strip()
    if row:
        lines.append(Text.assemble((blank, "dim"), (row, style)))
    return lines
