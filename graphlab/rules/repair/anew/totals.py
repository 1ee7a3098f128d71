"""Repair of a loss that is added up and begun once: each backward goes back through all of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Trace

_ZEROS = ("zeros", "tensor", "zeros_like", "new_zeros", "new_tensor")


def begun_again(trace: Trace, event: Backward) -> Iterator[Help]:
    """Begin the sum that the backward goes back from as it was begun before, for each backward:
    before what adds to it, or, where that stands around the backward, once it was used."""
    file = Rewriting.of(trace, event.at)
    going = file.statement(event.at.line) if file is not None and event.at else None
    if file is None or going is None or event.handed_over:
        return
    names = [event.loss, *(each.name for each in event.carriers if each.form == "tensor")]
    for name in dict.fromkeys(names):
        yield from _begun(file, going, name)


def _begun(file: Rewriting, going: ast.stmt, name: str) -> Iterator[Help]:
    last = name.rpartition(".")[2]
    function, body = file.function(going), file.body(going)
    adding = [
        each
        for each in ast.walk(function or file.tree)
        if isinstance(each, ast.stmt) and _adds(each, last) and file.function(each) is function
    ]
    begun = [each for each in ast.walk(file.tree) if _begins(each, last)]
    if not last.isidentifier() or not adding or len(begun) != 1 or going not in body:
        return
    first = begun[0]
    assert isinstance(first, ast.Assign)
    if file.function(first) is function and not _around(file, going, first):
        return
    said = ast.unparse(_target(adding[0]))
    new = f"{said} = {file.text(first.value)}\n"
    outer = next((each for each in body if adding[0] in ast.walk(each)), None)
    if outer is not None and outer.lineno <= going.lineno:
        place, column = file.whole(outer)[0], outer.col_offset
    elif function is None or body is not function.body:
        place, column = file.whole(body[-1])[1], body[-1].col_offset
    else:
        return
    found = file.help(
        message("repairs.anew.begun", name=said), (place, place, f"{' ' * column}{new}")
    )
    if found is not None:
        yield found


def _around(file: Rewriting, going: ast.stmt, first: ast.Assign) -> bool:
    """Whether the sum is begun outside of a loop that the backward is in."""
    loops = [each for each in file.around(going) if isinstance(each, ast.For | ast.While)]
    function = file.function(going)
    return any(first not in ast.walk(each) and file.function(each) is function for each in loops)


def _target(statement: ast.stmt) -> ast.expr:
    assert isinstance(statement, ast.AugAssign | ast.Assign)
    return statement.target if isinstance(statement, ast.AugAssign) else statement.targets[0]


def _adds(statement: ast.stmt, last: str) -> bool:
    """``total += x``, or ``total = total + x``."""
    if isinstance(statement, ast.AugAssign):
        return isinstance(statement.op, ast.Add) and _last(statement.target) == last
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return False
    value = statement.value
    return (
        isinstance(value, ast.BinOp)
        and isinstance(value.op, ast.Add)
        and _last(statement.targets[0]) == last
        and ast.unparse(statement.targets[0]) in (ast.unparse(value.left), ast.unparse(value.right))
    )


def _begins(node: ast.AST, last: str) -> bool:
    """``total = 0``, or a tensor of zeros."""
    if not isinstance(node, ast.Assign) or len(node.targets) != 1:
        return False
    value = node.value
    zero = isinstance(value, ast.Constant) and value.value == 0
    made = isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] in _ZEROS
    return _last(node.targets[0]) == last and (zero or made)


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
