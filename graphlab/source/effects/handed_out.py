"""Tells whether a method hands out what an attribute of its object holds, or what is made of it."""

from __future__ import annotations

import ast
from types import CodeType

from graphlab.source.places import nodes_of, parse


def hands_out(code: CodeType, attribute: str) -> bool:
    """Whether a value that the method of `code` returns or yields may be, or be made of,
    ``self.attribute``: whatever is assigned something that mentions it counts as made of it."""
    function = _function_of(code)
    if function is None:
        return False
    nodes = nodes_of(function)
    made: set[str] = set()
    while True:
        new = {
            name.id
            for node in nodes
            if (pair := _assigned(node)) is not None and _mentions(pair[1], attribute, made)
            for name in ast.walk(pair[0])
            if isinstance(name, ast.Name)
        }
        if new <= made:
            break
        made |= new
    given = (each.value for each in nodes if isinstance(each, ast.Return | ast.Yield))
    return any(each is not None and _mentions(each, attribute, made) for each in given)


def _function_of(code: CodeType) -> ast.FunctionDef | None:
    for node in nodes_of(parse(code.co_filename)):
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            if first == code.co_firstlineno:
                return node
    return None


def _assigned(node: ast.AST) -> tuple[ast.expr, ast.expr] | None:
    """The target of an assignment, and what it is assigned."""
    if isinstance(node, ast.Assign):
        return ast.Tuple(node.targets), node.value
    if isinstance(node, ast.AugAssign | ast.NamedExpr):
        return node.target, node.value
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        return node.target, node.value
    if isinstance(node, ast.For):
        return node.target, node.iter
    return None


def _mentions(value: ast.expr, attribute: str, names: set[str]) -> bool:
    return any(
        (isinstance(each, ast.Name) and each.id in names)
        or (
            isinstance(each, ast.Attribute)
            and each.attr == attribute
            and isinstance(each.value, ast.Name)
            and each.value.id == "self"
        )
        for each in ast.walk(value)
    )
