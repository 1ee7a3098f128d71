"""A step that stands behind the loop whose turns each clear their gradients: moved into it."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import NamedTuple

from graphlab.language import message
from graphlab.rules.steps import first_step
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace
from graphlab.trace.steps.sightings import Fate

# What follows the loop and belongs to a step.
_TRAINS = ("clip_grad_norm_", "clip_grad_value_", "unscale_", "step", "update")
# What has to do with parts of a batch whose gradients are added up, and with whole batches.
_PARTS = ("accum", "micro", "chunk", "split", "virtual", "partial")
_BATCHES = ("epoch", "loader", "data", "batches", "batched")


class Outside(NamedTuple):
    """A step of `optimizer` behind `loop`. sure: the program says that each turn is to have one."""

    optimizer: int
    file: Rewriting
    loop: ast.For | ast.While
    backward: ast.stmt
    step: Location
    sure: bool


def step_outside(trace: Trace, fate: Fate) -> Outside | None:
    """The step that a line's backwards get behind their loop; None where gradients may be meant to
    be added up over its turns."""
    step = next((s for at in fate.holders if (s := first_step(trace, at)) is not None), None)
    file = Rewriting.of(trace, fate.at)
    if step is None or step.at is None or file is None or fate.at is None or fate.cleared is None:
        return None
    if not fate.at.file == fate.cleared.file == step.at.file:
        return None
    backward, clearing, stepping = (
        file.statement(each.line) for each in (fate.at, fate.cleared, step.at)
    )
    if backward is None or clearing is None or stepping is None:
        return None
    loop = next((e for e in file.around(backward) if isinstance(e, ast.For | ast.While)), None)
    if loop is None or loop not in file.around(clearing) or stepping not in _behind(file, loop):
        return None
    if any(isinstance(each, ast.Return | ast.Break) for each in ast.walk(loop)):
        return None
    # What reads gradients in the loop has its own use of them.
    if re.search(r"\.grad\b|hook", file.text(loop)) or _adds_up(file, loop, backward):
        return None
    return Outside(step.optimizer, file, loop, backward, step.at, _over_batches(file, loop))


def stepped_inside(each: Outside) -> Help | None:
    """Moves the step into the loop, behind the backward, with the clipping that belongs to it."""
    file, after = each.file, _behind(each.file, each.loop)
    at = next((n for n, s in enumerate(after) if s.lineno == each.step.line), None)
    if at is None or each.backward not in each.loop.body or not file.body(each.backward):
        return None
    first, last = at, at
    while first and _trains(after[first - 1]):
        first -= 1
    while last + 1 < len(after) and _trains(after[last + 1]):
        last += 1
    start, end = file.whole(after[first], after[last])
    place = file.whole(each.backward)[1]
    text = file.indented(after[first], after[last], each.backward.col_offset - after[at].col_offset)
    told = message("repairs.tried.step_inside")
    return file.help(told, (start, end, ""), (place, place, text))


def _behind(file: Rewriting, loop: ast.For | ast.While) -> Sequence[ast.stmt]:
    body = file.body(loop)
    return body[body.index(loop) + 1 :] if loop in body else []


def _adds_up(file: Rewriting, loop: ast.For | ast.While, backward: ast.stmt) -> bool:
    """Whether the loop divides its loss, or goes over parts of a batch."""
    loss = {n.id for n in ast.walk(backward) if isinstance(n, ast.Name)}
    for node in ast.walk(loop):
        if isinstance(node, ast.Name | ast.Attribute):
            name = ast.unparse(node).lower()
            if any(word in name for word in _PARTS):
                return True
        if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Div):
            return True
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            around = next((e for e in file.around(node) if isinstance(e, ast.stmt)), node)
            if any(isinstance(n, ast.Name) and n.id in loss for n in ast.walk(around)):
                return True
    return False


def _over_batches(file: Rewriting, loop: ast.For | ast.While) -> bool:
    """Whether each turn is for a batch of its own: no loop is around it, or one over epochs, or its
    batches come from a loader."""
    outer = [each for each in file.around(loop) if isinstance(each, ast.For | ast.While)]
    function = file.function(loop)
    if not outer and function is None:
        return True
    said = [ast.unparse(each.iter) for each in (loop, *outer) if isinstance(each, ast.For)]
    said += [ast.unparse(each.target) for each in outer if isinstance(each, ast.For)]
    said += [function.name] if function is not None else []
    return any(word in each.lower() for each in said for word in _BATCHES)


def _trains(statement: ast.stmt) -> bool:
    """Whether it has to do with a step; a scheduler stays behind the loop, for each epoch."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    holder, _, called = (
        ast.unparse(call.func).rpartition(".") if isinstance(call, ast.Call) else ("",) * 3
    )
    return called in _TRAINS and "sched" not in holder
