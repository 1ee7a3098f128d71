"""graphlab list: the scenarios and the rules."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from graphlab.catalogue import scenarios
from graphlab.rules.registry import CODES
from graphlab.views.terminal import emit, stdout


def list_all() -> int:
    console = stdout()
    console.print("Scenarios, for graphlab run NAME", style="bold")
    table = _table()
    for each in scenarios():
        expected = each.expected(None)
        lesson = each.title.partition(": ")[2] or each.title
        code = (expected.code or "clean") if expected is not None else ""
        table.add_row(each.name, Text(code, _style(code)), lesson)
    emit(console, table, "")
    rules(console)
    return 0


def rules(console: Console) -> None:
    from graphlab.commands.explain import summary

    console.print("Rules, for graphlab explain CODE", style="bold")
    table = _table()
    for each in CODES:
        table.add_row(each.code, Text(each.severity, _style(each.code)), summary(each.code))
    emit(console, table)


def _table() -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _style(code: str) -> str:
    if code == "clean":
        return "green"
    return "red" if code < "GL100" else "cyan" if code == "GL108" else "yellow"
