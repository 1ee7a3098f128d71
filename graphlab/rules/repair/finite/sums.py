"""Repair of the logarithm of a variable that holds a sum of exponentials: one logsumexp."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.rules.repair.finite.operations import given_to, input_of
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace

_BARE = ast.Name | ast.Attribute | ast.Call | ast.Subscript


def log_of_sum(trace: Trace, at: Location | None) -> Iterator[Help]:
    """``log_z = torch.logsumexp(…)`` for ``z = torch.exp(x).sum() + torch.exp(y).sum()``, where
    nothing but ``torch.log(z)`` reads it: it is the same number, where that is finite."""
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    if file is None or statement is None or not isinstance(target, ast.Name):
        return
    scope = file.function(statement) or file.tree
    edits: list[tuple[int, int, str]] = []
    name = f"log_{target.id}"
    for node in ast.walk(scope):
        if not isinstance(node, ast.Name) or node.id != target.id:
            continue
        parent = file.parents.get(id(node))
        if isinstance(node.ctx, ast.Load):
            call = parent if isinstance(parent, ast.Call) else file.parents.get(id(parent))
            if call is None or input_of(call, "log") is not node:
                return
            edits.append((*file.span(call), name))
            continue
        exponents = [*_exponents(parent.value)] if isinstance(parent, ast.Assign) else []
        if not isinstance(parent, ast.Assign) or not exponents or None in exponents:
            return
        flat = [
            f"{file.text(each) if isinstance(each, _BARE) else f'({file.text(each)})'}.flatten()"
            for each in exponents
            if each is not None
        ]
        of = flat[0] if len(flat) == 1 else f"torch.cat([{', '.join(flat)}])"
        edits.append((*file.span(parent), f"{name} = torch.logsumexp({of}, 0)"))
    if name in file.source:
        return
    help = file.help(message("repairs.finite.without_exp", name="logsumexp"), *edits)
    if help is not None:
        yield help


def _exponents(node: ast.expr) -> Iterator[ast.expr | None]:
    """What the exponentials are of in a sum of their sums; None for any other summand."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _exponents(node.left)
        yield from _exponents(node.right)
        return
    summed = given_to(node, "sum")
    yield input_of(summed[0], "exp") if summed is not None and not summed[1] else None
