"""Renders the repairs that graphlab fix has tried: what was found, a table, and the best as a diff."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from graphlab.text import lines_of, one_line
from graphlab.trace.repairs import Candidate, Check, Repairs
from graphlab.views.terminal.story import headline

_STYLES = {"proved": "bold green", "runs": "bold yellow", "rejected": "red"}
_MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("?", "yellow")}


class RepairTable:
    """A rich renderable: the findings, the candidates with what was checked, and the diff of the
    one at `shown`."""

    def __init__(self, repairs: Repairs, shown: int | None) -> None:
        self._repairs, self._shown = repairs, shown

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        repairs = self._repairs
        for finding in repairs.problems:
            yield headline(finding)
        if repairs.candidates:
            yield Text()
            yield _table(repairs.candidates)
        if self._shown is not None:
            yield Text()
            yield from _diff(repairs.candidates[self._shown].diff)


def _table(candidates: tuple[Candidate, ...]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", justify="right")
    table.add_column("")
    table.add_column("repair", ratio=1)
    table.add_column("forwards", justify="right")
    table.add_column("backwards", justify="right")
    table.add_column("saved", justify="right")
    for at, each in enumerate(candidates, 1):
        cost = each.cost
        table.add_row(
            Text(str(at)), Text(each.verdict, _STYLES[each.verdict]), Text(one_line(each.text)),
            _count(cost.forwards), _count(cost.backwards), _bytes(cost.saved_bytes),
        )  # fmt: skip
        for check in each.checks:
            table.add_row("", "", Padding(_check(check), (0, 0, 0, 2)))
    return table


def _check(check: Check) -> Text:
    mark, style = _MARKS[check.holds]
    return Text.assemble((mark, style), f" {check.name}: ", (one_line(check.detail), "dim"))


def _count(value: int | None) -> str:
    return "" if value is None else str(value)


def _bytes(value: int | None) -> str:
    if value is None:
        return ""
    size = float(value)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.3g} {unit}"
        size /= 1000
    raise AssertionError


def _diff(diff: str) -> Iterator[Text]:
    for line in lines_of(diff):
        style = "dim"
        if line.startswith(("---", "+++")):
            style = "bold"
        elif line.startswith("@@"):
            style = "cyan"
        elif line.startswith("+"):
            style = "green"
        elif line.startswith("-"):
            style = "red"
        yield Text(one_line(line), style, overflow="fold")
