"""Repair of a draw that has no gradient: one that is computed from what it is drawn from."""

from __future__ import annotations

import ast

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Trace
from graphlab.trace.sightings import DrawnWithoutGraph


def drawn_with_graph(trace: Trace, each: DrawnWithoutGraph) -> Help | None:
    """``q.rsample()``; ``mean + std * torch.randn_like(std)``."""
    file = Rewriting.of(trace, each.at)
    statement = file.statement(each.at.line) if file is not None and each.at is not None else None
    found = [
        node
        for node in (ast.walk(statement) if statement is not None else ())
        if isinstance(node, ast.Call) and ast.unparse(node) == each.by
    ]
    if file is None or len(found) != 1:
        return None
    call = found[0]
    if isinstance(call.func, ast.Attribute) and call.func.attr == "sample":
        end = file.span(call.func)[1]
        return file.help(message("repairs.tried.rsample"), (end - len("sample"), end, "rsample"))
    given = [*call.args, *(word.value for word in call.keywords if word.arg in ("mean", "std"))]
    if len(given) != 2 or len(call.args) + len(call.keywords) != 2:
        return None
    mean, std = (file.text(node) for node in given)
    named = [each for each in given if isinstance(each, ast.Name | ast.Attribute)]
    module = ast.unparse(call.func).rpartition(".")[0] or "torch"
    # What is computed is to be computed once.
    written = f"{module}.distributions.Normal({mean}, {std}).rsample()"
    if named:
        std = std if isinstance(given[1], ast.Name | ast.Attribute | ast.Call) else f"({std})"
        written = f"{mean} + {std} * {module}.randn_like({file.text(named[0])})"
    alone = isinstance(statement, ast.Assign | ast.Return) and statement.value is call
    return file.help(
        message("repairs.anew.drawn"),
        (*file.span(call), written if alone or not named else f"({written})"),
    )
