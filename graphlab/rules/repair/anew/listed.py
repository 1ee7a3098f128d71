"""Repair of a loop that writes to each tensor of a list in place: the list is made anew."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.writes import out_of_place, result_of
from graphlab.source.blocks import StatementInScope
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace


def list_made_anew(trace: Trace, at: Location | None) -> Iterator[Help]:
    """``ws = [w - lr * g for w, g in zip(ws, grads)]`` for a loop over them whose body is ``w -= lr
    * g``: to give the loop's variable a new tensor would leave the list as it was."""
    file = Rewriting.of(trace, at)
    here = StatementInScope.of(trace, at) if at is not None else None
    if file is None or at is None or here is None:
        return
    statement = file.statement(at.line)
    loop = next(
        (each for each in file.around(statement) if isinstance(each, ast.For)), None
    ) if statement is not None else None  # fmt: skip
    if loop is None or statement is None or loop.body != [statement] or loop.orelse:
        return
    written, value = _new_value(here)
    listed = dict(_listed(loop)).get(written)
    if listed is None or not value:
        return
    name = file.text(listed)
    bound = any(
        isinstance(each, ast.Name | ast.Attribute)
        and isinstance(each.ctx, ast.Store)
        and ast.unparse(each) == name
        for each in ast.walk(here.scope)
    )
    target = name if bound else f"{name}[:]"
    indent = " " * loop.col_offset
    text = f"{indent}{target} = [{value} for {file.text(loop.target)} in {file.text(loop.iter)}]\n"
    found = file.help(message("repairs.anew.listed", name=name), (*file.whole(loop), text))
    if found is not None:
        yield found


def differentiated_list(trace: Trace, at: Location | None) -> Help | None:
    """As `list_made_anew`, where the function keeps the graph of gradients: what they change is to
    be differentiated as well, as in an inner step of meta-learning."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    if file is None or statement is None:
        return None
    scope = file.function(statement) or file.tree
    kept = any(
        isinstance(each, ast.keyword) and each.arg == "create_graph" for each in ast.walk(scope)
    )
    return next(list_made_anew(trace, at), None) if kept else None


def _new_value(here: StatementInScope) -> tuple[str, str]:
    """The variable that a statement writes to, and what it would give it out of place; "" for
    what is not known."""
    statement = here.statement
    if isinstance(statement, ast.AugAssign):
        return ast.unparse(statement.target), result_of(here, statement)
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return "", ""
    return ast.unparse(call.func.value), out_of_place(here) or ""


def _listed(loop: ast.For) -> Iterator[tuple[str, ast.expr]]:
    """(the variable, the list) for what a loop goes over, alone or zipped with others."""
    over, target = loop.iter, loop.target
    zipped = isinstance(over, ast.Call) and isinstance(over.func, ast.Name)
    if isinstance(over, ast.Call) and zipped and ast.unparse(over.func) == "zip":
        targets = target.elts if isinstance(target, ast.Tuple) else []
        pairs = zip(targets, over.args, strict=False)
    else:
        pairs = zip([target], [over], strict=True)
    for variable, each in pairs:
        if isinstance(variable, ast.Name) and isinstance(each, ast.Name | ast.Attribute):
            yield variable.id, each
