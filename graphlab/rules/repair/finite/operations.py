"""Finds the operation that a finding names in its statement, and what it is given."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from graphlab.source.rewriting import Rewriting
from graphlab.source.vocabulary import LIBRARIES
from graphlab.trace.model import Location, Trace

_OPERATORS = {ast.Div: "div", ast.Pow: "pow"}
# What torch calls an operation by another name than the one that is written.
_ALIASES = {"true_divide": "div", "divide": "div", "arccos": "acos", "arcsin": "asin"}


class Operation(NamedTuple):
    """`node` computes the operation `name` of `operand`, which is the divisor of a quotient."""

    file: Rewriting
    statement: ast.stmt
    node: ast.expr
    name: str
    operand: ast.expr

    @property
    def said(self) -> str:
        """The operand as it is written."""
        return self.file.text(self.operand)


def operation_at(trace: Trace, at: Location | None, name: str) -> Operation | None:
    """The operation `name` of the statement at `at`; None where that has none, or several and none
    at just that place."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    if file is None or at is None or statement is None or hasattr(statement, "body"):
        return None
    found = [*operations_of(file, statement, name)]
    here = [each for each in found if file.is_at(each.node, at)]
    best = here or found
    return best[0] if len(best) == 1 else None


def operations_of(file: Rewriting, statement: ast.stmt, name: str) -> Iterator[Operation]:
    """All operations `name` of a statement."""
    for node in ast.walk(statement):
        operand = _operand(node, name)
        if operand is not None and isinstance(node, ast.expr):
            yield Operation(file, statement, node, name, operand)


def _operand(node: ast.AST, name: str) -> ast.expr | None:
    if isinstance(node, ast.BinOp):
        if _OPERATORS.get(type(node.op)) != name:
            return None
        return node.right if name == "div" else node.left
    if not isinstance(node, ast.Call):
        return None
    func = node.func
    called = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
    if _ALIASES.get(called, called) != name:
        return None
    given = list(node.args)
    if isinstance(func, ast.Attribute) and not is_library(func.value):
        given.insert(0, func.value)
    at = 1 if name == "div" else 0
    return given[at] if len(given) > at else None


def is_library(node: ast.expr) -> bool:
    """Whether an expression is torch itself, or a module of it."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id in LIBRARIES


def input_of(node: ast.AST | None, name: str) -> ast.expr | None:
    """What a call of the function or method `name` computes from: its receiver, or its first
    argument."""
    found = given_to(node, name)
    return found[0] if found is not None else None


def given_to(node: ast.AST | None, name: str) -> tuple[ast.expr, dict[str, ast.expr]] | None:
    """The same, and the arguments beside it by their names: of a reduction ``dim`` and
    ``keepdim``."""
    if not isinstance(node, ast.Call):
        return None
    func, rest = node.func, list(node.args)
    called = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
    # Python's own sum() goes over the first dimension alone.
    own = called == "sum" and isinstance(func, ast.Name)
    if called != name or own or any(isinstance(each, ast.Starred) for each in rest):
        return None
    method = isinstance(func, ast.Attribute) and not is_library(func.value)
    if not method and not rest:
        return None
    first = func.value if isinstance(func, ast.Attribute) and method else rest.pop(0)
    words = dict(zip(("dim", "keepdim"), rest, strict=False))
    return first, {**words, **{each.arg or "**": each.value for each in node.keywords}}


def functional(file: Rewriting) -> str:
    """How the file calls torch.nn.functional."""
    short = "import torch.nn.functional as F" in file.source
    return (
        "F"
        if short or "from torch.nn import functional as F" in file.source
        else ("torch.nn.functional")
    )


def value_of(file: Rewriting, node: ast.expr) -> ast.expr | None:
    """What a variable was given by the only statement of its function that binds it, above `node`;
    the expression itself where it is no variable. None where it is an argument as well, where that
    statement does not always run, and where what it was computed from is bound again in between."""
    if not isinstance(node, ast.Name):
        return node
    scope = file.function(node) or file.tree
    stores = [
        each
        for each in ast.walk(scope)
        if isinstance(each, ast.Name) and each.id == node.id and isinstance(each.ctx, ast.Store)
    ]
    binding = file.parents.get(id(stores[0])) if len(stores) == 1 else None
    if not isinstance(binding, ast.Assign) or binding.lineno >= node.lineno:
        return None
    block = file.body(binding)
    if not any(each in block for each in file.around(node)):
        return None
    read = {each.id for each in ast.walk(binding.value) if isinstance(each, ast.Name)}
    again = any(
        isinstance(each, ast.Name)
        and each.id in read
        and isinstance(each.ctx, ast.Store)
        and binding.lineno <= each.lineno <= node.lineno
        for each in ast.walk(scope)
    )
    return None if again else binding.value
