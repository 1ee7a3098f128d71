"""Repairs of a loss that two statements go back from: one of them is left out."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.rules.words import loss_word
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Location, Trace


def backward_once(trace: Trace, freeing: Backward | None, event: Backward) -> Iterator[Help]:
    """Leave out the second backward from one loss, or the first: what stands between the two, such
    as a clipping, shows which of them is meant."""
    if freeing is None or not event.again or freeing.at == event.at or event.handed_over:
        return
    for at in (event.at, freeing.at):
        file = Rewriting.of(trace, at)
        statement = file.statement(at.line) if file is not None and at is not None else None
        call = statement.value if isinstance(statement, ast.Expr) else None
        func = call.func if isinstance(call, ast.Call) else None
        if file is None or statement is None or not isinstance(func, ast.Attribute):
            continue
        if func.attr != "backward" or len(file.body(statement)) < 2:
            continue
        text = message("repairs.kept_apart.once", loss=loss_word(event.loss), line=_line(at))
        found = file.help(text, (*file.whole(statement), ""))
        if found is not None:
            yield found


def _line(at: Location | None) -> int:
    return at.line if at is not None else 0


def if_twice_is_meant(event: Backward, helps: Iterable[Help]) -> Iterator[Help]:
    """The same repairs; of one loss, going back from it once more adds its gradient once more."""
    for each in helps:
        choice = message("fix.meant.twice", loss=loss_word(event.loss)) if event.again else ""
        yield replace(each, choice=choice or each.choice)
