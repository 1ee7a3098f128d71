"""Repair of a gradient asked of columns that were cut out after the forward: the gradient of what
went in has them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.source.rewriting import Function, Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Location, Trace


def column_of_gradient(trace: Trace, event: Backward) -> Iterator[Help]:
    """``grad(u, points)[0][:, 1:2]`` for ``grad(u, t)[0]``, where ``t = points[:, 1:2]``."""
    file = Rewriting.of(trace, event.cut)
    late = file.statement(event.cut.line) if file is not None and event.cut is not None else None
    if file is None or late is None or event.at is None:
        return
    base, _ = _column(file, late)
    columns = {
        name: index
        for each in file.body(late)
        for one, index in [_column(file, each)]
        if one == base and (name := _target(each))
    }
    askers = _asking(file, event.at)
    edits = []
    for node in ast.walk(file.function(late) or file.tree):
        if not isinstance(node, ast.Call) or _called(node) not in askers or len(node.args) < 2:
            continue
        asked = node.args[1]
        index = columns.get(asked.id) if isinstance(asked, ast.Name) else None
        whole: ast.AST = node
        if _called(node) == "grad":
            # It gives a tuple.
            whole = file.parents[id(node)]
            if not isinstance(whole, ast.Subscript) or ast.unparse(whole.slice) != "0":
                return
        if index is not None:
            end = file.span(whole)[1]
            edits += [(*file.span(asked), base), (end, end, f"[{index}]")]
    found = file.help(message("repairs.asked.column", name=base), *edits) if base else None
    if found is not None:
        yield found


def _column(file: Rewriting, statement: ast.stmt) -> tuple[str, str]:
    """What ``t = points[:, 1:2]`` takes, of what; the columns keep a dimension of their own."""
    value = statement.value if isinstance(statement, ast.Assign) else None
    if not isinstance(value, ast.Subscript) or not isinstance(value.value, ast.Name):
        return "", ""
    return value.value.id, file.text(value.slice)


def _target(statement: ast.stmt) -> str:
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else ""


def _called(call: ast.Call) -> str:
    func = call.func
    return func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")


def _asking(file: Rewriting, at: Location) -> set[str]:
    """What asks for the gradient: grad() itself, or the function of the file that calls it, if that
    takes what it is asked of as its second argument and gives the one gradient back."""
    names = {"grad"}
    statement = file.statement(at.line) if at.file == file.file else None
    function = file.function(statement) if statement is not None else None
    if isinstance(function, Function) and len(function.args.args) >= 2:
        second = function.args.args[1].arg
        if any(
            isinstance(node, ast.Call)
            and _called(node) == "grad"
            and len(node.args) >= 2
            and second in {n.id for n in ast.walk(node.args[1]) if isinstance(n, ast.Name)}
            for node in ast.walk(function)
        ):
            names.add(function.name)
    return names
