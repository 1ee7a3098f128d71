"""Finds the statements of one body that lead to lines elsewhere."""

from __future__ import annotations

import ast

from graphlab.source.rewriting import Rewriting
from graphlab.trace.model import Location


def in_one_body(
    file: Rewriting, first: Location | None, second: Location | None
) -> tuple[ast.stmt, ast.stmt] | None:
    """Two statements of one body, the one before the other, that lead to these lines."""
    if first is None or second is None or {first.file, second.file} != {file.file}:
        return None
    for node in ast.walk(file.tree):
        for name in ("body", "orelse", "finalbody"):
            body = getattr(node, name, None)
            if not isinstance(body, list) or not body or not file.body(body[0]):
                continue
            ones = [each for each in body if leads_to(file, each, first)]
            others = [each for each in body if leads_to(file, each, second)]
            if len(ones) == len(others) == 1 and body.index(ones[0]) < body.index(others[0]):
                return ones[0], others[0]
    return None


def leads_to(file: Rewriting, statement: ast.stmt, at: Location) -> bool:
    """Whether the line runs in the statement: it is one of its lines, or of a function of the file
    that it names."""
    if statement.lineno <= at.line <= (statement.end_lineno or 0):
        return not isinstance(statement, ast.FunctionDef | ast.ClassDef)
    inside = file.function(file.statement(at.line) or file.tree)
    if inside is None or isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return False
    # Called, or given to what calls it, as in ``model.apply(init)``.
    return any(
        inside.name in (getattr(each, "id", None), getattr(each, "attr", None))
        for each in ast.walk(statement)
    )
