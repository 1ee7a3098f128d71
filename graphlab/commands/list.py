"""graphlab list: the scenarios, the exercises and the rules."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from graphlab.catalogue import scenarios
from graphlab.language import current, say
from graphlab.learn.course import exercises, own
from graphlab.rules.pages import summary
from graphlab.rules.registry import RULES
from graphlab.views.console import emit, stdout

_COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}
_STYLES = {"clean": "green", **{each.code: _COLOURS[each.severity] for each in RULES}}


def list_all() -> int:
    console = stdout()
    console.print(say("list.scenarios"), style="bold")
    table = _table()
    for each in scenarios():
        expected = each.expected(None)
        code = (expected.code or "clean") if expected is not None else ""
        shown = say("list.clean") if code == "clean" else code
        table.add_row(each.name, Text(shown, _STYLES.get(code, "")), each.shows)
    emit(console, table, "")
    console.print(say("list.exercises"), style="bold")
    table = _table()
    for each in exercises(own(), current()):
        table.add_row(each.name, Text(each.part, "dim"), each.title)
    emit(console, table, "")
    rules(console)
    return 0


def rules(console: Console) -> None:
    console.print(say("list.rules"), style="bold")
    table = _table()
    for each in RULES:
        severity = Text(say(f"list.{each.severity}"), _STYLES[each.code])
        table.add_row(each.code, severity, summary(each.code))
    emit(console, table)


def _table() -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table
