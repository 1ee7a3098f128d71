"""Repair of a step that a GradScaler is to take."""

from __future__ import annotations

import ast
import re

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Trace
from graphlab.trace.sightings import ScaledStep


def step_by_scaler(trace: Trace, scaled: ScaledStep) -> Help | None:
    """``scaler.step(optimizer)`` for ``optimizer.step()``, and ``scaler.update()`` behind it where
    the file has none."""
    at, backward = scaled.at, scaled.call_at
    file = Rewriting.of(trace, at)
    if file is None or at is None or backward is None or at.file != backward.file:
        return None
    scaler = re.match(r"([\w.]+)\.scale\(", backward.code.strip())
    stepped, scaling = file.statement(at.line), file.statement(backward.line)
    if scaler is None or not isinstance(stepped, ast.Expr) or scaling is None:
        return None
    call = stepped.value
    if not isinstance(call, ast.Call) or call.args or call.keywords:
        return None
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "step":
        return None
    # Both names have to stand where the step does.
    if file.function(stepped) is not file.function(scaling) or not file.body(stepped):
        return None
    indent = " " * stepped.col_offset
    new = f"{indent}{scaler[1]}.step({file.text(call.func.value)})\n"
    if not re.search(rf"\b{re.escape(scaler[1].rpartition('.')[2])}\.update\(", file.source):
        new += f"{indent}{scaler[1]}.update()\n"
    return file.help(message("repairs.held.by_scaler"), (*file.whole(stepped), new))
