"""Repair of a buffer into which results are written with their graph: it keeps their values."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Trace

# Methods that write, and which of their arguments holds what is written.
_WRITING = {"copy_": 0, "index_copy_": 2, "scatter_": 2, "index_put_": 1, "masked_scatter_": 1}


def values_written(trace: Trace, event: Backward) -> Iterator[Help]:
    """Detach what is written in place into the attribute, or the variable, that leads the backward
    into the graph of an earlier turn."""
    for carrier in event.carriers if event.at is not None and not event.handed_over else ():
        last = carrier.name.rpartition(".")[2]
        for path in sorted(trace.sources) if carrier.form == "tensor" and event.at else ():
            file = Rewriting.of(trace, replace(event.at, file=path)) if event.at else None
            values = [
                value
                for node in (ast.walk(file.tree) if file is not None else ())
                if (value := _written(node, last)) is not None
            ]
            if file is None or len(values) != 1:
                continue
            found = file.help(
                message("repairs.anew.values", name=carrier.name),
                *file.followed(values[0], ".detach()"),
            )
            if found is not None:
                yield found


def _written(node: ast.AST, last: str) -> ast.expr | None:
    """What a statement writes into elements, or all, of something of that name."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
        value = node.value if isinstance(target, ast.Subscript) else None
        return value if value is not None and _named(target, last) else None
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return None
    place = _WRITING.get(node.func.attr)
    if place is None or len(node.args) <= place or not _named(node.func.value, last):
        return None
    return node.args[place]


def _named(node: ast.expr, last: str) -> bool:
    while isinstance(node, ast.Subscript):
        node = node.value
    return (node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")) == last
