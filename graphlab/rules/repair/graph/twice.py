"""Repairs of a loss that two statements go back from: one of them is left out."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.rules.words import loss_word
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Step, Trace, ZeroGrad


def backward_once(trace: Trace, freeing: Backward | None, event: Backward) -> Iterator[Help]:
    """Leave out one of two backwards that add up in the gradients, where their losses are one, or
    one of them is a part of the other: that of the part, or either. What stands between the two,
    such as a clipping, shows which of them is meant."""
    if freeing is None or not adds_up(trace, event) or freeing.at == event.at or event.handed_over:
        return
    both = (event, freeing) if event.twice == "same" else (event,)
    for each in (freeing,) if event.twice == "whole" else both:
        file = Rewriting.of(trace, each.at)
        statement = file.statement(each.at.line) if file is not None and each.at else None
        call = statement.value if isinstance(statement, ast.Expr) else None
        func = call.func if isinstance(call, ast.Call) else None
        if file is None or statement is None or not isinstance(func, ast.Attribute):
            continue
        if func.attr != "backward" or len(file.body(statement)) < 2:
            continue
        words = {"loss": loss_word(each.loss), "line": statement.lineno}
        found = file.help(message("repairs.kept_apart.once", **words), (*file.whole(statement), ""))
        if found is not None:
            yield found


def adds_up(trace: Trace, event: Backward) -> bool:
    """Whether a loss, or a part of it, would be in the gradients twice."""
    if not event.twice:
        return False
    before = trace.events[: trace.events.index(event)]
    last = max((at for at, each in enumerate(before) if isinstance(each, Backward)), default=0)
    return event.twice == "same" or not any(
        isinstance(each, Step | ZeroGrad) for each in before[last:]
    )


def if_twice_is_meant(trace: Trace, event: Backward, helps: Iterable[Help]) -> Iterator[Help]:
    """The same repairs; of one loss, going back from it once more adds its gradient once more."""
    twice = adds_up(trace, event)
    for each in helps:
        choice = message("fix.meant.twice", loss=loss_word(event.loss)) if twice else ""
        yield replace(each, choice=choice or each.choice)
