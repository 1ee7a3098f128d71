"""Repair of steps that no backward comes before: it is put there."""

from __future__ import annotations

import ast
import re

from graphlab.language import message
from graphlab.rules.repair.examples.each_turn import called
from graphlab.source.rewriting import Rewriting
from graphlab.trace.examples.sightings import NeverBack
from graphlab.trace.finding import Help
from graphlab.trace.model import Trace

# What stands between a backward and its step.
_BETWEEN = ("clip_grad_norm_", "clip_grad_value_", "unscale_", "step")


def with_backward(trace: Trace, each: NeverBack) -> Help | None:
    """``loss.backward()`` before the step, as its scaler or accelerator would have it; or the one
    that comes too late is moved there."""
    file = Rewriting.of(trace, each.at)
    step = file.statement(each.at.line) if file is not None and each.at is not None else None
    body = file.body(step) if file is not None and step is not None else []
    if file is None or not isinstance(step, ast.Expr) or step not in body:
        return None
    first = body.index(step)
    while first and called(body[first - 1]) in _BETWEEN:
        first -= 1
    place, indent = file.whole(body[first])[0], " " * step.col_offset
    if each.after is not None:
        late = file.statement(each.after.line) if each.after.file == file.file else None
        if not isinstance(late, ast.Expr) or not file.body(late):
            return None
        if file.function(late) is not file.function(step) or len(file.body(late)) < 2:
            return None
        line = f"{indent}{file.text(late)}\n"
        told = message("repairs.examples.earlier_backward", call=each.call)
        return file.help(told, (*file.whole(late), ""), (place, place, line))
    call = _call(file, step, each.loss)
    told = message("repairs.examples.missing_backward", call=call)
    return file.help(told, (place, place, f"{indent}{call}\n"))


def _call(file: Rewriting, step: ast.Expr, loss: str) -> str:
    """The call as the program's other calls have it."""
    by = re.match(r"([\w.]+)\.step\(\s*[\w.]", file.text(step))
    if by is not None and f"{by[1]}.update(" in file.source:
        return f"{by[1]}.scale({loss}).backward()"
    prepares = re.search(r"([\w.]+)\.prepare\(", file.source)
    return f"{prepares[1]}.backward({loss})" if prepares is not None else f"{loss}.backward()"
