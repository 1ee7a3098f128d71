"""Repairs of gradient clipping in the wrong place."""

from __future__ import annotations

import ast
import re

from graphlab.language import message
from graphlab.source.blocks import Block, Edit
from graphlab.trace.finding import Help
from graphlab.trace.model import Trace
from graphlab.trace.sightings import Clipped


def unscale_before(trace: Trace, clipped: Clipped, optimizer: str) -> Help | None:
    """Insert ``scaler.unscale_(optimizer)`` before the clipping, in the names that the backward and
    the step are written with."""
    at, backward, step = clipped.at, clipped.backward, clipped.step
    if at is None or backward is None or step is None:
        return None
    scaler = re.match(r"(.+?)\.scale\(", backward.code)
    stepped = re.match(r"(.+?)\.step\((.+?)\)", step.code)
    if scaler is None or stepped is None or scaler[1] != stepped[1]:
        return None
    block = Block(trace.sources.get(at.file, ""), at.file, at.line, at.line)
    index = block.index(at.line)
    statement = block.statements[index] if index is not None else None
    if statement is None or not isinstance(statement, ast.Expr | ast.Assign):
        return None
    new = f"{' ' * statement.col_offset}{scaler[1]}.unscale_({stepped[2]})\n"
    return block.help(
        message("repairs.clipping.unscale"),
        [Edit.of(statement, new + block.text(statement))],
    )


def clip_before_step(trace: Trace, clipped: Clipped) -> Help | None:
    """Move the clipping in front of the step, if both are in one block."""
    at, step = clipped.at, clipped.step
    if at is None or step is None or at.file != step.file or step.line >= at.line:
        return None
    block = Block(trace.sources.get(at.file, ""), at.file, step.line, at.line)
    first, last = block.index(step.line), block.index(at.line)
    if first is None or last is None or first == last:
        return None
    stepping, clipping = block.statements[first], block.statements[last]
    if not isinstance(stepping, ast.Expr) or not isinstance(clipping, ast.Expr | ast.Assign):
        return None
    if stepping.lineno != step.line or clipping.lineno != at.line:
        return None
    return block.help(
        message("repairs.clipping.before_step"),
        [
            Edit.of(stepping, block.text(clipping) + block.text(stepping)),
            Edit.of(clipping, ""),
        ],
    )
