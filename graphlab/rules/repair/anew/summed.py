"""Repair of a sum that a network adds up as it runs and never begins again."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.rules.repair.anew.handed_on import calls_since
from graphlab.rules.repair.anew.totals import adds_to, begins, only_summed
from graphlab.source.rewriting import Function, Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Trace


def begun_in_method(trace: Trace, event: Backward) -> Iterator[Help]:
    """``self.log_det = 0`` where the one method begins that adds to it."""
    at = event.at
    for carrier in event.carriers if at is not None and not event.handed_over else ():
        holder, _, last = carrier.name.rpartition(".")
        if not holder or at is None or not only_summed(trace, carrier.name):
            continue
        for path in sorted(trace.sources):
            file = Rewriting.of(trace, replace(at, file=path))
            found = _begun(file, last) if file is not None else None
            if found is not None and calls_since(trace, event, holder) != 1:
                # The calls of one turn may be meant to add to it together.
                found = replace(found, choice=message("fix.meant.summed", name=carrier.name))
            if found is not None:
                yield found


def _begun(file: Rewriting, last: str) -> Help | None:
    adding = [each for each in ast.walk(file.tree) if adds_to(each, last)]
    begun = [each for each in ast.walk(file.tree) if begins(each, last)]
    methods = {id(one): one for each in adding if (one := _function(file, each)) is not None}
    if len(methods) != 1 or len(begun) != 1 or not isinstance(begun[0], ast.Assign):
        return None
    method, constructor = next(iter(methods.values())), _function(file, begun[0])
    if constructor is None or constructor.name != "__init__" or method is constructor:
        return None
    body = [e for e in method.body if not _is_text(e)]
    name = file.text(begun[0].targets[0])
    place, indent = file.whole(body[0])[0], " " * body[0].col_offset
    new = f"{indent}{name} = {file.text(begun[0].value)}\n"
    return file.help(message("repairs.anew.begun", name=name), (place, place, new))


def _function(file: Rewriting, node: ast.AST) -> Function | None:
    return file.function(node) if isinstance(node, ast.stmt) else None


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
