"""Repair of a module that writes in place what it must not: build it without inplace=True."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace


def built_not_in_place(trace: Trace, at: Location | None) -> Iterator[Help]:
    """Leave ``inplace=True`` out where the modules are built that the statement at `at` calls."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    if file is None or statement is None:
        return
    called = {
        each.func.attr
        for each in ast.walk(statement)
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute)
    }
    edits = []
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Assign) and any(
            isinstance(each, ast.Attribute) and each.attr in called for each in node.targets
        ):
            edits += [edit for call in ast.walk(node.value) for edit in _edit(file, call)]
    found = file.help(message("repairs.tried.not_in_place"), *edits)
    if found is not None:
        yield found


def _edit(file: Rewriting, node: ast.AST) -> Iterator[tuple[int, int, str]]:
    if not isinstance(node, ast.Call):
        return
    dropped = [
        word for word in node.keywords
        if word.arg == "inplace" and getattr(word.value, "value", None) is True
    ]  # fmt: skip
    only = node.args[0] if len(node.args) == 1 and not node.keywords else None
    kept = [file.text(each) for each in node.args]
    kept += [file.text(each) for each in node.keywords if each not in dropped]
    if isinstance(only, ast.Constant) and only.value is True:
        kept, dropped = [], [ast.keyword("inplace", only)]
    if dropped:
        yield *file.span(node), f"{file.text(node.func)}({', '.join(kept)})"
