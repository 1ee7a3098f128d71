"""Repair of a loss that is added up and begun once: each backward goes back through all of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.source.places import nodes_in
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Backward, Trace

# What a summand may be on its way into a loss.
_LINEAR = ("mean", "sum", "stack", "cat")
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
        if isinstance(each, ast.stmt) and adds_to(each, last) and file.function(each) is function
    ]
    begun = [each for each in ast.walk(file.tree) if begins(each, last)]
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


def adds_to(statement: ast.AST, last: str) -> bool:
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


def added_in(body: list[ast.stmt], name: str) -> bool:
    """Whether some statement among these, or in them, adds to a variable."""
    return any(adds_to(e, name) for each in body for e in ast.walk(each))


def begins(node: ast.AST, last: str) -> bool:
    """``total = 0``, or a tensor of zeros."""
    if not isinstance(node, ast.Assign) or len(node.targets) != 1:
        return False
    value = node.value
    zero = isinstance(value, ast.Constant) and value.value == 0
    made = isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] in _ZEROS
    return _last(node.targets[0]) == last and (zero or made)


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def only_summed(trace: Trace, name: str) -> bool:
    """Whether the program writes it as a zero and by adding to it alone, and reads it as a summand
    of a loss alone: what is left of earlier turns is a number there that no gradient depends on."""
    last, reads, adds = name.rpartition(".")[2], 0, 0
    for source in trace.sources.values():
        nodes = nodes_in(source)
        parents = {id(inner): outer for outer in nodes for inner in ast.iter_child_nodes(outer)}
        for node in nodes:
            if isinstance(node, ast.Assign | ast.AugAssign) and _writes(node, last):
                if not (adds_to(node, last) or begins(node, last)):
                    return False
                adds += adds_to(node, last)
            if _is(node, last) and isinstance(getattr(node, "ctx", None), ast.Load):
                if not _summand(node, parents):
                    return False
                reads += 1
    return bool(adds and reads)


def _is(node: ast.AST, last: str) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return isinstance(node, ast.Name | ast.Attribute) and name == last


def _writes(node: ast.Assign | ast.AugAssign, last: str) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return any(_is(each, last) for target in targets for each in ast.walk(target))


def _summand(node: ast.AST, parents: dict[int, ast.AST]) -> bool:
    """Whether the statement around adds it, or its mean, to what else there is."""
    while True:
        outer = parents.get(id(node))
        if isinstance(outer, ast.BinOp):
            right = isinstance(outer.op, ast.Mult | ast.Div) and outer.right is node
            other = outer.left if outer.right is node else outer.right
            scaled = isinstance(outer.op, ast.Mult | ast.Div) and isinstance(other, ast.Constant)
            if not isinstance(outer.op, ast.Add | ast.Sub) and not scaled:
                return False
            if right and isinstance(outer.op, ast.Div):
                return False
        elif isinstance(outer, ast.Attribute):
            if outer.attr not in _LINEAR:
                return False
        elif isinstance(outer, ast.Call):
            if outer.func is not node or outer.args:
                return False
        elif not isinstance(outer, ast.UnaryOp):
            return isinstance(outer, ast.Assign | ast.AugAssign | ast.Return)
        node = outer
