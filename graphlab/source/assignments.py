"""What a statement gives a value to, and from which expression; read from the syntax tree alone."""

from __future__ import annotations

import ast

from graphlab.source.vocabulary import GUARDS


def is_guard(expression: ast.expr) -> bool:
    """``torch.no_grad()`` or ``no_grad``; of a choice between two contexts, either."""
    if isinstance(expression, ast.IfExp):
        return is_guard(expression.body) or is_guard(expression.orelse)
    called = expression.func if isinstance(expression, ast.Call) else expression
    return ast.unparse(called).rsplit(".", 1)[-1] in GUARDS


def target_names(target: ast.expr) -> list[str]:
    return [ast.unparse(each) for each in getattr(target, "elts", [target])]


def stored_names(statement: ast.stmt) -> set[str]:
    """What a statement assigns to, or appends to, as it is written."""
    if isinstance(statement, ast.Assign):
        return {name for each in statement.targets for name in target_names(each)}
    if isinstance(statement, ast.AnnAssign | ast.AugAssign):
        return {ast.unparse(statement.target)}
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        func = statement.value.func
        if isinstance(func, ast.Attribute) and func.attr in ("append", "extend", "insert"):
            return {ast.unparse(func.value)}
    return set()


def assigned_value(statement: ast.stmt) -> ast.expr | None:
    source = getattr(statement, "value", None)
    if isinstance(statement, ast.Expr) and isinstance(source, ast.Call):
        return source.args[-1] if source.args else None
    return source


def call_or_source(node: ast.AST) -> str:
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") not in ("to", "type"):
        return ast.unparse(node.func) + "()"
    return ast.unparse(node)


def is_integer(node: ast.expr) -> bool:
    return ast.unparse(node).rsplit(".", 1)[-1] in ("long", "int", "int64", "int32", "bool")


def scope_of(tree: ast.Module | None, first: int, name: str) -> ast.AST | None:
    for each in ast.walk(tree) if tree is not None else ():
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name == name:
            start = min([each.lineno, *(d.lineno for d in each.decorator_list)])
            if start <= first <= each.lineno:
                return each
    return tree
