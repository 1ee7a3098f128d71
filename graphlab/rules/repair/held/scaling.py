"""Repairs of what is to go through a GradScaler, and of when it is asked to."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from graphlab.language import message
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Trace
from graphlab.trace.sightings import OptimizerRefused, ScaledStep


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


def unscaled_once(trace: Trace, refused: OptimizerRefused) -> Iterator[Help]:
    """Unscale, and do what stands between, in the branch that steps; or leave out the second of two
    calls for one step."""
    file, at = Rewriting.of(trace, refused.at), refused.at
    statement = file.statement(at.line) if file is not None and at is not None else None
    call = statement.value if isinstance(statement, ast.Expr) else None
    if file is None or statement is None or not isinstance(call, ast.Call):
        return
    scaler = file.text(call.func).rpartition(".")[0]
    body = file.body(statement)
    after = body[body.index(statement) + 1 :] if statement in body else []
    stepping = next((each for each in after if f"{scaler}.step(" in file.text(each)), None)
    if isinstance(stepping, ast.If):
        moved = [statement, *after[: after.index(stepping)]]
        first = next((e for e in stepping.body if f"{scaler}.step(" in file.text(e)), None)
        if first is not None and not any(".backward(" in file.text(each) for each in moved):
            start, end = file.whole(moved[0], moved[-1])
            place = file.whole(first)[0]
            text = file.indented(moved[0], moved[-1], first.col_offset - statement.col_offset)
            found = file.help(
                message("repairs.held.unscale_once"), (start, end, ""), (place, place, text)
            )
            if found is not None:
                yield found
    if len(body) > 1:
        found = file.help(message("repairs.held.unscaled_already"), (*file.whole(statement), ""))
        if found is not None:
            yield found


def updated(trace: Trace, refused: OptimizerRefused) -> Iterator[Help]:
    """``scaler.update()`` behind the step, where the file has none: behind the last of them, if it
    steps several optimizers in one block."""
    file, at = Rewriting.of(trace, refused.at), refused.at
    statement = file.statement(at.line) if file is not None and at is not None else None
    call = getattr(statement, "value", None)
    if file is None or not isinstance(statement, ast.Expr | ast.Assign):
        return
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return
    scaler = file.text(call.func.value)
    if re.search(rf"\b{re.escape(scaler.rpartition('.')[2])}\.update\(", file.source):
        return
    scope = file.function(statement) or file.tree
    steps = [
        each
        for each in ast.walk(scope)
        if isinstance(each, ast.Expr | ast.Assign)
        and isinstance(each.value, ast.Call)
        and file.text(each.value.func) == f"{scaler}.step"
    ]
    last = max(steps, key=lambda each: each.lineno, default=None)
    if last is None or any(each not in file.body(last) for each in steps):
        return
    place = file.whole(last)[1]
    new = f"{' ' * last.col_offset}{scaler}.update()\n"
    found = file.help(message("repairs.held.update"), (place, place, new))
    if found is not None:
        yield found
