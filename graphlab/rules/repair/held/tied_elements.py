"""Repair of two parameters that were given the same elements: they become one."""

from __future__ import annotations

import ast

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace


def one_parameter(trace: Trace, at: Location | None) -> Help | None:
    """``head.weight = embed.weight`` for ``head.weight.data = embed.weight.data``, and for
    ``head.weight = nn.Parameter(embed.weight)``."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    if file is None or not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    target, value = _parameter(statement.targets[0]), statement.value
    if isinstance(value, ast.Call) and value.args:
        value = value.args[0]
    value = _parameter(value)
    text = message("repairs.tried.one_parameter", name=file.text(target), other=file.text(value))
    return file.help(
        text,
        (*file.span(statement.targets[0]), file.text(target)),
        (*file.span(statement.value), file.text(value)),
    )


def _parameter(node: ast.expr) -> ast.expr:
    return node.value if isinstance(node, ast.Attribute) and node.attr == "data" else node
