"""Repair of a function that an optimizer calls several times, and that goes back each time through
what was computed before it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.source.blocks import acts
from graphlab.source.rewriting import Function, Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Trace

# As many statements before the function are moved into it.
_MOST = 4


def computed_in_closure(trace: Trace, event: Backward) -> Iterator[Help]:
    """Compute in the function itself what it reads of the statements before it: the last of them,
    and then those that this needs as well."""
    file = Rewriting.of(trace, event.at)
    going = file.statement(event.at.line) if file is not None and event.at else None
    closure = file.function(going) if file is not None and going is not None else None
    if file is None or closure is None or not _stepped_with(file, closure):
        return
    body = file.body(closure)
    before = body[: body.index(closure)] if closure in body else []
    given = {each.arg for each in ast.walk(closure.args) if isinstance(each, ast.arg)}
    needed = _names(closure, ast.Load) - _names(closure, ast.Store) - given
    first = closure.body[_documented(closure) :][:1]
    moved: list[ast.Assign] = []
    for each in reversed(before):
        bound = _names(each, ast.Store)
        if not bound & needed or not isinstance(each, ast.Assign):
            continue
        if acts(each) or not _computes(each) or not first:
            return
        moved.insert(0, each)
        needed |= _names(each, ast.Load)
        by = first[0].col_offset - each.col_offset
        place = file.whole(first[0])[0]
        text = "".join(file.indented(one, one, by) for one in moved)
        later = {name for one in body[body.index(closure) :] for name in _outside(one, closure)}
        kept = [one for one in moved if _names(one, ast.Store) & later]
        names = sorted(name for one in moved for name in _names(one, ast.Store))
        found = file.help(
            message("repairs.anew.in_closure", names=names, function=closure.name),
            *((*file.whole(one), "") for one in moved if one not in kept),
            (place, place, text),
        )
        if found is not None:
            yield found
        if len(moved) == _MOST:
            return


def _stepped_with(file: Rewriting, closure: Function) -> bool:
    """Whether a step is handed the function."""
    return any(
        isinstance(each, ast.Call)
        and isinstance(each.func, ast.Attribute)
        and each.func.attr == "step"
        and closure.name in (getattr(one, "id", "") for one in _handed(each))
        for each in ast.walk(file.tree)
    )


def _handed(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(each.value for each in call.keywords)]


def _documented(function: Function) -> bool:
    return ast.get_docstring(function) is not None


def _computes(statement: ast.Assign) -> bool:
    """Whether it computes by a call, and makes no module and no optimizer."""
    said = ast.unparse(statement.value)
    made = any(word in said for word in ("optim.", "nn.Linear", "nn.Module", "Parameter("))
    return not made and any(isinstance(each, ast.Call) for each in ast.walk(statement.value))


def _outside(node: ast.AST, closure: Function) -> set[str]:
    """The variables that a statement reads outside of the function."""
    return set() if node is closure else _names(node, ast.Load)


def _names(node: ast.AST, context: type[ast.expr_context]) -> set[str]:
    return {
        each.id
        for each in ast.walk(node)
        if isinstance(each, ast.Name) and isinstance(each.ctx, context)
    }
