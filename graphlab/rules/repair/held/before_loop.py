"""Repair of an optimizer that each turn of a loop makes: it is made once, before the loop."""

from __future__ import annotations

import ast
from dataclasses import replace

from graphlab.language import message
from graphlab.rules.repair.held.callers import Callers, called
from graphlab.source.rewriting import Function, Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace
from graphlab.trace.sightings import OptimizerRemade

_LOOPS = ast.For | ast.AsyncFor


def made_before_loop(trace: Trace, remade: OptimizerRemade, optimizer: str) -> Help | None:
    """Move the statement in front of the loop; where it stands in a function that the loop calls,
    hand the function what is made there."""
    at, loop_at = remade.at, remade.loop
    file = Rewriting.of(trace, at)
    if file is None or at is None or loop_at is None or at.file != loop_at.file:
        return None
    made, turn = file.statement(at.line), file.statement(loop_at.line)
    if not isinstance(made, ast.Assign) or turn is None or len(made.targets) != 1:
        return None
    loop = next((each for each in file.around(turn) if isinstance(each, _LOOPS)), None)
    if loop is None or not file.body(made) or not file.body(loop):
        return None
    inside = _bound(loop)
    text = message("repairs.held.before_loop", name=file.text(made.targets[0]), line=loop.lineno)
    place = file.whole(loop)[0]
    if made is turn:
        if made not in loop.body or _names(made.value) & inside or len(loop.body) < 2:
            return None
        moved = file.indented(made, made, loop.col_offset - made.col_offset)
        return file.help(text, (place, place, moved), (*file.whole(made), ""))
    function, target = file.function(made), made.targets[0]
    if function is None or made not in function.body or not isinstance(target, ast.Name):
        return None
    return _handed_over(file, trace, at, made, function, loop, target.id, place)


def _handed_over(
    file: Rewriting,
    trace: Trace,
    at: Location,
    made: ast.Assign,
    function: Function,
    loop: ast.For | ast.AsyncFor,
    name: str,
    place: int,
) -> Help | None:
    """The function gets another parameter, and its one call another argument."""
    calls = [
        (each.file, node)
        for each in Callers(trace, replace(at)).files
        for node in ast.walk(each.tree)
        if isinstance(node, ast.Call) and called(node) == function.name
    ]
    if len(calls) != 1 or calls[0][0] != file.file or not isinstance(calls[0][1].func, ast.Name):
        return None
    call = next(
        node
        for node in ast.walk(file.tree)
        if isinstance(node, ast.Call) and called(node) == function.name
    )
    if not any(each is loop for each in file.around(call)):
        return None
    given = _arguments(call, function)
    taken = {each.id for each in ast.walk(loop) if isinstance(each, ast.Name)}
    around = file.function(loop)
    taken |= _bound(around) if around is not None else set()
    if given is None or name in taken:
        return None
    if sum(isinstance(each, ast.Name) and each.id == name and isinstance(each.ctx, ast.Store)
           for each in ast.walk(function)) != 1:  # fmt: skip
        return None
    value = _in_terms_of(file, made.value, function, given)
    if value is None or _names(ast.parse(value, mode="eval").body) & _bound(loop):
        return None
    indent = " " * loop.col_offset
    text = message("repairs.held.before_loop", name=name, line=loop.lineno)
    last_parameter, last_argument = function.args.args[-1:], call.args[-1:] or call.keywords[-1:]
    if not last_parameter or not last_argument:
        return None
    end, close = file.span(last_parameter[0])[1], file.span(_last(call))[1]
    added = f", {name}={name}" if call.keywords else f", {name}"
    return file.help(
        text,
        (end, end, f", {name}"),
        (*file.whole(made), ""),
        (place, place, f"{indent}{name} = {value}\n"),
        (close, close, added),
    )


def _last(call: ast.Call) -> ast.AST:
    return max(
        [*call.args, *call.keywords], key=lambda each: (each.end_lineno, each.end_col_offset)
    )


def _arguments(call: ast.Call, function: Function) -> dict[str, ast.expr] | None:
    """What the call hands over, by parameter; None where the parameters are not plain ones."""
    form = function.args
    if form.vararg or form.kwarg or form.kwonlyargs or form.posonlyargs or form.defaults:
        return None
    if any(isinstance(each, ast.Starred) for each in call.args):
        return None
    given = dict(zip((each.arg for each in form.args), call.args, strict=False))
    for each in call.keywords:
        if each.arg is None:
            return None
        given[each.arg] = each.value
    return given


def _in_terms_of(
    file: Rewriting, value: ast.expr, function: Function, given: dict[str, ast.expr]
) -> str | None:
    """The value with the arguments of the call in place of the function's parameters."""
    start, text = file.span(value)[0], file.text(value)
    local = _bound(function)
    names = [each for each in ast.walk(value) if isinstance(each, ast.Name)]
    for each in sorted(names, key=lambda one: -file.span(one)[0]):
        if each.id in given:
            argument = given[each.id]
            if not isinstance(argument, ast.Name | ast.Attribute | ast.Constant | ast.Subscript):
                return None
            first, last = (one - start for one in file.span(each))
            text = text[:first] + file.text(argument) + text[last:]
        elif each.id in local:
            return None
    return text


def _names(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def _bound(node: ast.AST) -> set[str]:
    """The names that are given a value inside, parameters among them."""
    stored = {
        each.id
        for each in ast.walk(node)
        if isinstance(each, ast.Name) and not isinstance(each.ctx, ast.Load)
    }
    return stored | {each.arg for each in ast.walk(node) if isinstance(each, ast.arg)}
