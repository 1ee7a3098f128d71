"""A small table with a title and a note, and its rendering by rich, in Markdown and in HTML."""

from __future__ import annotations

import html as escaping
from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from graphlab.text import one_line


@dataclass(frozen=True, slots=True)
class Cell:
    """One entry of a table. `tone` is good, bad, warning or quiet, or empty."""

    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """The heading of a column. Adjacent columns with the same `group` share that as a heading."""

    name: str
    group: str = ""
    left: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: its rows of cells under its columns, between a title and a note."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


STYLES = {"good": "green", "bad": "red", "warning": "yellow", "quiet": "dim", "": ""}


def printed(grid: Grid) -> RenderableType:
    """The table for rich."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column, heading in zip(grid.columns, _headings(grid.columns), strict=True):
        # Folded, never cut: a cut number would be wrong.
        table.add_column(heading, justify="left" if column.left else "right", overflow="fold")
    for row in grid.rows:
        table.add_row(*(Text(one_line(cell.text), STYLES[cell.tone]) for cell in row))
    parts: list[RenderableType] = [Text(grid.title, "bold"), table]
    if grid.note:
        parts.append(Text(grid.note, "dim"))
    return Group(*parts)


def _headings(columns: Iterable[Column]) -> list[str]:
    """The columns' headings; two lines each if there are groups, with the group over its first
    column."""
    columns = list(columns)
    if not any(column.group for column in columns):
        return [column.name for column in columns]
    found, last = [], ""
    for column in columns:
        found.append(f"{column.group if column.group != last else ''}\n{column.name}")
        last = column.group
    return found


def markdown(grid: Grid) -> str:
    """The table in Markdown; the column groups are part of its headings."""
    heads = [f"{each.group} {each.name}".strip() for each in grid.columns]
    lines = [f"### {grid.title}", "", _row(heads)]
    lines.append(_row(["---" if column.left else "---:" for column in grid.columns]))
    lines.extend(_row([cell.text for cell in row]) for row in grid.rows)
    if grid.note:
        lines.extend(("", grid.note))
    return "\n".join(lines) + "\n"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(one_line(cell).replace("|", "\\|") for cell in cells) + " |"


def html(grid: Grid) -> str:
    """The table as an HTML fragment."""
    parts = ["<section>", f"<h2>{escaping.escape(grid.title)}</h2>", "<table>", "<thead>"]
    if any(column.group for column in grid.columns):
        parts.append(f"<tr>{_spans(grid.columns)}</tr>")
    heads = "".join(
        f'<th scope="col"{_left(column)}>{escaping.escape(column.name)}</th>'
        for column in grid.columns
    )
    parts.extend((f"<tr>{heads}</tr>", "</thead>", "<tbody>"))
    for row in grid.rows:
        cells = []
        for at, (cell, column) in enumerate(zip(row, grid.columns, strict=True)):
            tone = f' class="{cell.tone}"' if cell.tone else ""
            tag = 'th scope="row"' if at == 0 else "td"
            text = escaping.escape(one_line(cell.text))
            cells.append(f"<{tag}{tone}{_left(column)}>{text}</{tag.split()[0]}>")
        parts.append(f"<tr>{''.join(cells)}</tr>")
    parts.extend(("</tbody>", "</table>"))
    if grid.note:
        parts.append(f"<p>{escaping.escape(grid.note)}</p>")
    return "\n".join([*parts, "</section>"])


def _left(column: Column) -> str:
    return ' data-left=""' if column.left else ""


def _spans(columns: tuple[Column, ...]) -> str:
    cells: list[tuple[str, int]] = []
    for column in columns:
        if cells and cells[-1][0] == column.group:
            cells[-1] = (column.group, cells[-1][1] + 1)
        else:
            cells.append((column.group, 1))
    return "".join(
        f'<th scope="colgroup" colspan="{count}">{escaping.escape(name)}</th>'
        if name
        else f'<td colspan="{count}"></td>'
        for name, count in cells
    )
