"""Repair of a loss over all pairs: the column loses its last dimension where the two meet."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Trace
from graphlab.trace.sightings import BroadcastLoss


def without_last_dimension(trace: Trace, loss: BroadcastLoss) -> Iterator[Help]:
    """``prediction.squeeze(-1)`` where the two are compared; of the target or the weights, where
    those are the column. Which of them stands first, a program may do either way: both are
    offered."""
    file = Rewriting.of(trace, loss.at)
    statement = file.statement(loss.at.line) if file is not None and loss.at is not None else None
    if file is None or loss.at is None or statement is None:
        return
    column = len(loss.prediction) == len(loss.result)
    if column and loss.prediction[-1] != 1:
        return
    paired = _multiplied if loss.weight else _compared
    compared = [(node, both) for node in ast.walk(statement) if (both := paired(node))]
    exact = [(node, both) for node, both in compared if file.is_at(node, loss.at)]
    for _, both in exact or compared:
        for each in both if column else reversed(both):
            key = "squeeze_factor" if loss.weight else "squeeze"
            found = file.help(
                message(f"repairs.trained.{key}", name=file.text(each)),
                *file.followed(each, ".squeeze(-1)"),
            )
            if found is not None:
                yield found


def _compared(node: ast.AST) -> tuple[ast.expr, ast.expr] | None:
    """The two that a difference or a loss is of."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
        return node.left, node.right
    if isinstance(node, ast.Call):
        given = {word.arg: word.value for word in node.keywords}
        named = [given[each] for each in ("input", "target") if each in given]
        both = [each for each in node.args if not isinstance(each, ast.Starred)] + named
        if len(both) == 2 and not isinstance(both[1], ast.Constant):
            return both[0], both[1]
    return None


def _multiplied(node: ast.AST) -> tuple[ast.expr, ast.expr] | None:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return node.left, node.right
    return None
