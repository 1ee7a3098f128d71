"""Repair of an optimizer that a constructor builds, and whose model is changed by another function:
it is built once more there, with the settings that it has."""

from __future__ import annotations

import ast

from graphlab.language import message
from graphlab.source.rewriting import Function, Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace


def rebuilt_there(
    trace: Trace, file: Rewriting, built: Location, statement: ast.stmt, after: ast.stmt
) -> Help | None:
    """``self.optimizer = SGD(self.model.parameters(), lr=self.optimizer.defaults["lr"])`` behind
    `after`, for the `statement` of a constructor that builds it; by the name of the object that has
    the optimizer where that is outside of its class."""
    constructor, there = file.function(statement), file.function(after)
    call = statement.value if isinstance(statement, ast.Assign) else None
    if constructor is None or constructor.name != "__init__" or not isinstance(call, ast.Call):
        return None
    assert isinstance(statement, ast.Assign)
    own, target = _own(constructor), file.text(statement.targets[0])
    owner = _own(there) if there is not None and _methods(file, constructor, there) else ""
    if not owner:
        known = [each.name for each in trace.optimizers if each.at == built]
        last = target.removeprefix(f"{own}.")
        owner = known[0].removesuffix(f".{last}") if known and known[0].endswith(f".{last}") else ""
    if not own or not owner or not target.startswith(f"{own}.") or after not in file.body(after):
        return None
    name = f"{owner}{target.removeprefix(own)}"
    local = _bound(constructor) - {own}
    given = []
    for each in (*call.args, *call.keywords):
        value = each.value if isinstance(each, ast.keyword) else each
        said = _renamed(file, value, own, owner)
        if local & {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}:
            if not isinstance(each, ast.keyword) or each.arg is None:
                return None
            said = f'{name}.defaults["{each.arg}"]'
        given.append(f"{each.arg}={said}" if isinstance(each, ast.keyword) else said)
    place = file.whole(after)[1]
    new = f"{name} = {_renamed(file, call.func, own, owner)}({', '.join(given)})\n"
    return file.help(
        message("repairs.tried.build_again"), (place, place, f"{' ' * after.col_offset}{new}")
    )


def _own(function: Function) -> str:
    return function.args.args[0].arg if function.args.args else ""


def _methods(file: Rewriting, one: Function, other: Function) -> bool:
    holder = file.parents.get(id(one))
    return isinstance(holder, ast.ClassDef) and holder is file.parents.get(id(other))


def _bound(function: Function) -> set[str]:
    given = {each.arg for each in ast.walk(function.args) if isinstance(each, ast.arg)}
    return given | {
        each.id
        for each in ast.walk(function)
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    }


def _renamed(file: Rewriting, node: ast.AST, own: str, owner: str) -> str:
    """The text of a node, with another name for the object that has the optimizer."""
    start, text = file.span(node)[0], file.text(node)
    names = [each for each in ast.walk(node) if isinstance(each, ast.Name) and each.id == own]
    for each in sorted(names, key=lambda one: -file.span(one)[0]):
        first, last = (place - start for place in file.span(each))
        text = text[:first] + owner + text[last:]
    return text
