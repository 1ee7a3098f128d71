"""Finds the statement that puts an average in the place of weights that were kept just before."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

# What the name of an average has among its words.
_AVERAGES = frozenset({"ema", "emas", "shadow", "swa", "avg", "averaged", "average"})
# What tells that a value is a copy.
_COPIES = ("clone(", "deepcopy(")
_KEEPING = ("mul_", "lerp_")
# The methods of an average that keep the weights, and then put the average in their place:
# torch_ema's, and those of all that follow it.
_STORES, _PUTS_IN = "store", "copy_to"


@dataclass(frozen=True, slots=True)
class SwappedIn:
    """`weights`, as they are written, were kept in `kept`, and then given what is in `average`: one
    and the same object where that does both."""

    weights: str
    kept: str
    average: str


def swapped_in(tree: ast.Module | None, line: int) -> SwappedIn | None:
    """What the statement at this line swaps in, in the function whose line it is."""
    if tree is None:
        return None
    functions = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.lineno < line <= (node.end_lineno or 0)
    ]
    function = functions[-1] if functions else tree
    statement = _at(function, line)
    by_itself = _stored(statement, function) if statement is not None else None
    if by_itself is not None:
        return by_itself
    written = _written(statement) if statement is not None and functions else None
    if written is None:
        return None
    weights, given = written
    average = _container(given)
    before = [each for each in ast.walk(function) if getattr(each, "lineno", line) < line]
    kept = next((name for each in before if (name := _kept(each, weights))), "")
    if not kept or not average or weights in _words(given) or kept == average:
        return None
    words = {part for word in _words(given) for part in re.split(r"[\W_]+", word.lower())}
    if _AVERAGES.isdisjoint(words) and not any(_mixes(each, average) for each in ast.walk(tree)):
        return None
    return SwappedIn(weights, kept, average)


def _stored(statement: ast.stmt, function: ast.AST) -> SwappedIn | None:
    """``ema.copy_to(…)``, after ``ema.store(…)``."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    func = call.func if isinstance(call, ast.Call) else None
    if not isinstance(call, ast.Call) or not isinstance(func, ast.Attribute) or not call.args:
        return None
    average = ast.unparse(func.value)
    stores = any(
        isinstance(each, ast.Call)
        and each.lineno < call.lineno
        and ast.unparse(each.func) == f"{average}.{_STORES}"
        for each in ast.walk(function)
    )
    if func.attr != _PUTS_IN or not stores:
        return None
    return SwappedIn(ast.unparse(call.args[0]), average, average)


def _at(function: ast.AST, line: int) -> ast.stmt | None:
    found = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Expr | ast.Assign)
        and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return found[0] if len(found) == 1 else None


def _written(statement: ast.stmt) -> tuple[str, ast.expr] | None:
    """What is overwritten, and with what: ``p.data.copy_(x)``, ``p.data = x``,
    ``model.load_state_dict(x)``."""
    if isinstance(statement, ast.Assign):
        (target, *others) = statement.targets
        if others or not isinstance(target, ast.Attribute) or target.attr != "data":
            return None
        return ast.unparse(target.value), statement.value
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or not call.args:
        return None
    if call.func.attr not in ("copy_", "load_state_dict"):
        return None
    return ast.unparse(call.func.value).removesuffix(".data"), call.args[0]


def _kept(node: ast.AST, weights: str) -> str:
    """Where a statement keeps a copy of the weights."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target, value = node.targets[0], node.value
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".append") and node.args:
        target, value = node.func, node.args[0]
        target = target.value if isinstance(target, ast.Attribute) else target
    else:
        return ""
    text = ast.unparse(value)
    if weights not in _words(value) or not any(each in text for each in _COPIES):
        return ""
    return _container(target)


def _container(node: ast.expr) -> str:
    """``self.shadow`` of ``self.shadow[name].data``, ``ema`` of ``ema.module.state_dict()``."""
    while True:
        if isinstance(node, ast.Subscript) or (
            isinstance(node, ast.Attribute) and node.attr in ("data", "module", "state_dict")
        ):
            node = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            node = node.func.value if node.func.attr not in ("deepcopy", "copy") else node
            if isinstance(node, ast.Call):
                return _container(node.args[0]) if node.args else ""
        else:
            break
    return ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""


def _words(node: ast.expr) -> set[str]:
    """The names, and paths of names, that an expression reads."""
    return {
        ast.unparse(each) for each in ast.walk(node) if isinstance(each, ast.Name | ast.Attribute)
    }


def _mixes(node: ast.AST, average: str) -> bool:
    """Whether a statement keeps a part of what is in `average`, and adds to it."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target, value = node.targets[0], node.value
        sums = isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add)
        return sums and _container(target) == average and average in _words(value)
    call = node.func if isinstance(node, ast.Call) else None
    keeps = isinstance(call, ast.Attribute) and call.attr in _KEEPING
    return isinstance(call, ast.Attribute) and keeps and _container(call.value) == average
