"""Repair of a backward behind the loop over the batches: it runs in each turn."""

from __future__ import annotations

import ast

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.trace.examples.sightings import LastOnly
from graphlab.trace.finding import Help
from graphlab.trace.model import Trace

# The calls that make one step of training.
_TRAINS = ("zero_grad", "backward", "step", "clip_grad_norm_", "clip_grad_value_", "update")


def in_each_turn(trace: Trace, each: LastOnly) -> Help | None:
    """Indents what follows the loop, up to the step, into its body, where these are calls that
    train and nothing else."""
    file = Rewriting.of(trace, each.at)
    backward = file.statement(each.at.line) if file is not None and each.at else None
    body = file.body(backward) if file is not None and backward is not None else []
    at = next((n for n, s in enumerate(body) if s.lineno == each.loop.line), None)
    if file is None or backward is None or at is None:
        return None
    loop, after = body[at], body[at + 1 :]
    moved: list[ast.stmt] = []
    for statement in after:
        if not _trains(statement):
            break
        moved.append(statement)
    steps = [n for n, one in enumerate(moved) if called(one) == "step"]
    if not isinstance(loop, ast.For) or backward not in moved or not steps:
        return None
    # A scheduler's step comes behind the optimizer's, and stays where it is.
    moved = moved[: steps[0] + 1]
    if backward not in moved:
        return None
    text = file.indented(moved[0], moved[-1], loop.body[0].col_offset - loop.col_offset)
    told = message("repairs.examples.each_turn", call=each.call)
    return file.help(told, (*file.whole(moved[0], moved[-1]), text))


def _trains(statement: ast.stmt) -> bool:
    return called(statement) in _TRAINS


def called(statement: ast.stmt) -> str:
    """The last word of what a statement that is a call, and nothing else, calls."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    return ast.unparse(call.func).rpartition(".")[2] if isinstance(call, ast.Call) else ""
