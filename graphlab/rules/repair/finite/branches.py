"""Repair of an operation whose result is not used where it is not finite: a safe input there."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.finite.operations import Operation
from graphlab.trace.finding import Help

# Operations that are not finite at 1 get another number.
_SAFE = {"acos": "0.0", "asin": "0.0"}


def safe_input(found: Operation) -> Iterator[Help]:
    """``torch.where(ok, x, 1.0)`` for the operand, where ``torch.where(ok, …)`` chooses of the
    result, or ``result[ok]`` does."""
    file = found.file
    condition = _condition_around(found) or _condition_later(found)
    if condition is None or "torch" not in {alias for alias in _imported(file.tree)}:
        return
    safe = _SAFE.get(found.name, "1.0")
    new = f"torch.where({condition}, {found.said}, {safe})"
    help = file.help(
        message("repairs.finite.safe", name=found.said), (*file.span(found.operand), new)
    )
    if help is not None:
        yield help


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.asname or each.name for each in node.names)


def _condition_around(found: Operation) -> str | None:
    """The condition of the where() that the operation is written in, as the branch that is taken
    where it holds; its negation for the other branch."""
    inner: ast.AST = found.node
    for each in found.file.around(found.node):
        if each is found.statement:
            return None
        if isinstance(each, ast.Call):
            taken = _of_where(found, each, inner)
            if taken is not None:
                return taken
        if isinstance(each, ast.Subscript) and each.value is inner:
            return _mask(found, each)
        inner = each
    return None


def _condition_later(found: Operation) -> str | None:
    """The condition by which later statements of the same body choose of what the statement binds,
    if it is computed from what is there before it."""
    file, statement = found.file, found.statement
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    target = statement.targets[0]
    scope = file.function(statement) or file.tree
    if not isinstance(target, ast.Name):
        return None
    uses = [
        each
        for each in ast.walk(scope)
        if isinstance(each, ast.Name) and each.id == target.id and each is not target
    ]
    if len(uses) != 1 or uses[0].lineno < statement.lineno:
        return None
    parent = file.parents.get(id(uses[0]))
    condition = None
    if isinstance(parent, ast.Call):
        condition = _of_where(found, parent, uses[0])
    elif isinstance(parent, ast.Subscript) and parent.value is uses[0]:
        condition = _mask(found, parent)
    if condition is None:
        return None
    # What it is computed from must be there already, and not be bound again.
    read = {n.id for n in ast.walk(ast.parse(condition)) if isinstance(n, ast.Name)}
    stores = [
        each
        for each in ast.walk(scope)
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store) and each.id in read
    ]
    return None if any(each.lineno >= statement.lineno for each in stores) else condition


def _of_where(found: Operation, call: ast.Call, branch: ast.AST) -> str | None:
    func = call.func
    if not isinstance(func, ast.Attribute) or func.attr != "where" or len(call.args) != 3:
        return None
    if branch not in call.args[1:]:
        return None
    condition = found.file.text(call.args[0])
    return condition if branch is call.args[1] else f"~({condition})"


def _mask(found: Operation, taken: ast.Subscript) -> str | None:
    """A mask that chooses of the operation's result, if it is one of truth values."""
    index = taken.slice
    name = isinstance(index, ast.Name) and any(
        isinstance(each, ast.Assign)
        and isinstance(each.value, ast.Compare)
        and index.id in (ast.unparse(target) for target in each.targets)
        for each in ast.walk(found.file.function(found.statement) or found.file.tree)
    )
    return found.file.text(index) if name or isinstance(index, ast.Compare) else None
