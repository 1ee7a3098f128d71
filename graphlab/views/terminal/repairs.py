"""Renders the repairs that graphlab fix has tried: findings, a table, and the best as a diff."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from graphlab.language import say, told
from graphlab.text import lines_of, one_line
from graphlab.trace.repairs.model import Candidate, Check, Cost, Repairs
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
        for at, each in enumerate(repairs.candidates, 1):
            yield Text()
            yield _candidate(at, each)
        if self._shown is not None:
            yield Text()
            yield from _diff(repairs.candidates[self._shown].diff)


def _candidate(number: int, each: Candidate) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(justify="right", width=2)
    table.add_column(width=8)
    table.add_column(width=18)
    # A full line of wide characters loses its last word to an ellipsis unless it is folded.
    table.add_column(ratio=1, overflow="fold")
    # The text of a repair has the width of the last two columns.
    wide = Table.grid(padding=(0, 2, 0, 0))
    wide.add_column(justify="right", width=2)
    wide.add_column(width=8)
    wide.add_column(ratio=1, overflow="fold")
    wide.add_row(
        Text(str(number), "bold"),
        Text(say(f"fix.verdict.{each.verdict}"), _STYLES[each.verdict]),
        Text(one_line(told(each.text))),
    )
    for check in each.checks:
        table.add_row("", "", _mark(check), Text(one_line(told(check.detail))))
    cost = _cost(each.cost)
    if cost:
        table.add_row("", "", Text(f"  {say('fix.cost.name')}"), Text(cost, "dim"))
    whole = Table.grid()
    whole.add_row(wide)
    whole.add_row(table)
    return whole


def _mark(check: Check) -> Text:
    mark, style = _MARKS[check.holds]
    return Text.assemble((mark, style), f" {told(check.name)}")


def _cost(cost: Cost) -> str:
    parts = []
    if cost.forwards is not None:
        parts.append(say("fix.cost.forwards", count=cost.forwards))
    if cost.backwards is not None:
        parts.append(say("fix.cost.backwards", count=cost.backwards))
    if cost.saved_bytes is not None:
        parts.append(say("fix.cost.saved", size=_bytes(cost.saved_bytes)))
    return ", ".join(parts)


def _bytes(value: int) -> str:
    size = float(value)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


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
