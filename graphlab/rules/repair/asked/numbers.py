"""Repair of a tensor with a graph that is handed to NumPy: what NumPy gets is detached."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.source.blocks import bound_names, read_names
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Refused, Trace


def detached_for_numpy(trace: Trace, event: Refused) -> Iterator[Help]:
    """``pred.detach().numpy()``. A choice where the numbers may be what a loss is made of."""
    file, at = Rewriting.of(trace, event.at), event.at
    statement = file.statement(at.line) if file is not None and at is not None else None
    name = trace.tensors[event.tensor].name
    if file is None or statement is None or hasattr(statement, "body"):
        return
    given = [*_given(statement, name)]
    if len(given) > 1:
        given = [each for each in given if ast.unparse(each) == name]
    if len(given) != 1:
        return
    found = file.help(
        message("repairs.asked.numbers", name=file.text(given[0])),
        *file.followed(given[0], ".detach()"),
    )
    if found is not None:
        meant = _after_backward(trace, event) or _apart(file, statement)
        choice = message("fix.meant.carried_on", name=file.text(given[0]))
        yield replace(found, choice="" if meant else choice)


def _given(statement: ast.stmt, name: str | None) -> Iterator[ast.expr]:
    for node in ast.walk(statement):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        func = node.func
        if func.attr == "numpy" and not node.args:
            # ``pred.cpu().numpy()``: what moves it may stay.
            yield func.value
        elif ast.unparse(func.value) in ("np", "numpy"):
            yield from (each for each in node.args if name and ast.unparse(each) == name)


def _after_backward(trace: Trace, event: Refused) -> bool:
    """Whether the losses of this turn had been gone back from by then."""
    before = trace.events[: trace.events.index(event)]
    return event.iteration is not None and any(
        isinstance(each, Backward) and each.iteration == event.iteration for each in before
    )


def _apart(file: Rewriting, statement: ast.stmt) -> bool:
    """Whether no loss in the same function is computed from what the statement computes."""
    function = file.function(statement)
    inside = [each for each in ast.walk(function or file.tree) if isinstance(each, ast.stmt)]
    inside.sort(key=lambda each: each.lineno)
    going = [each for each in inside if ".backward(" in file.text(each) and _simple(each)]
    if not going:
        return False
    tainted: set[str] = {*bound_names(statement)}
    call = statement.value if isinstance(statement, ast.Expr) else None
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
        # ``kept.append(x.numpy())``
        tainted.add(ast.unparse(call.func.value))
    for each in inside:
        if _simple(each) and each is not statement and read_names(each) & tainted:
            if each in going:
                return False
            tainted |= bound_names(each)
    return not isinstance(statement, ast.Return)


def _simple(statement: ast.stmt) -> bool:
    return not hasattr(statement, "body")
