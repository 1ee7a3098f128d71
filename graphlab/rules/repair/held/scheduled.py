"""Repair of a scheduler whose optimizer was built anew: build it anew as well."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace


def scheduled_anew(trace: Trace, step: Location | None) -> Iterator[Help]:
    """Build the scheduler behind the one line further down that gives its optimizer's variable
    another optimizer: only there if both are in one body, there as well if that is a branch."""
    file = Rewriting.of(trace, step)
    for built in ast.walk(file.tree) if file is not None else ():
        name = _scheduled(built)
        if file is None or not isinstance(built, ast.Assign) or not name:
            continue
        later = [
            each
            for each in ast.walk(file.function(built) or file.tree)
            if isinstance(each, ast.Assign)
            and file.function(each) is file.function(built)
            and each.lineno > built.lineno
            and [ast.unparse(target) for target in each.targets] == [name]
        ]
        if len(later) != 1 or not file.body(later[0]) or not file.body(built):
            continue
        last = later[0]
        edits = file.moved(built, last)
        if last not in file.body(built):
            edits = edits[1:]
        found = file.help(message("repairs.held.schedule", name=name, line=last.lineno), *edits)
        if found is not None:
            yield found


def _scheduled(statement: ast.AST) -> str:
    """The optimizer's variable, where the statement builds a scheduler of torch's."""
    call = statement.value if isinstance(statement, ast.Assign) else None
    if not isinstance(call, ast.Call) or not call.args:
        return ""
    func = ast.unparse(call.func)
    known = "lr_scheduler." in func or func.endswith(("LR", "OnPlateau", "WarmRestarts"))
    given = call.args[0]
    return ast.unparse(given) if known and isinstance(given, ast.Name | ast.Attribute) else ""
