"""Repairs of gradient clipping in the wrong place."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TypeGuard

from graphlab.language import message
from graphlab.source.blocks import Block, Edit
from graphlab.source.rewriting import Function, Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Location, Trace
from graphlab.trace.sightings import Clipped

_CLIPS = ("clip_grad_norm_", "clip_grad_value_")


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
    # With the condition that it is under, where nothing else is.
    inner = clipping.body[0] if _is_guarded(clipping) else clipping
    if not isinstance(stepping, ast.Expr) or not isinstance(inner, ast.Expr | ast.Assign):
        return None
    if stepping.lineno != step.line or inner.lineno != at.line:
        return None
    return block.help(
        message("repairs.clipping.before_step"),
        [
            Edit.of(stepping, block.text(clipping) + block.text(stepping)),
            Edit.of(clipping, ""),
        ],
    )


def _is_guarded(statement: ast.stmt) -> TypeGuard[ast.If]:
    return isinstance(statement, ast.If) and len(statement.body) == 1 and not statement.orelse


def clip_beside_step(trace: Trace, clipped: Clipped) -> Iterator[Help]:
    """Clip just before the step, which is in another function: where the statement says the same
    there, for it reads nothing but what is global and, in methods of one class, `self`."""
    at, step = clipped.at, clipped.step
    file = Rewriting.of(trace, at)
    if file is None or at is None or step is None or at.file != step.file:
        return
    clipping, stepping = file.statement(at.line), file.statement(step.line)
    if not isinstance(clipping, ast.Expr) or not isinstance(stepping, ast.Expr):
        return
    one, other = file.function(clipping), file.function(stepping)
    if one is None or other is None or one is other or len(file.body(clipping)) < 2:
        return
    bound = _bound(one) | _bound(other)
    owner = file.parents.get(id(one))
    methods = isinstance(owner, ast.ClassDef) and owner is file.parents.get(id(other))
    if methods and _self(one) == _self(other):
        bound -= {_self(one)}
    if {each.id for each in ast.walk(clipping) if isinstance(each, ast.Name)} & bound:
        return
    place = file.whole(stepping)[0]
    text = file.indented(clipping, clipping, stepping.col_offset - clipping.col_offset)
    found = file.help(
        message("repairs.clipping.before_step"), (*file.whole(clipping), ""), (place, place, text)
    )
    if found is not None:
        yield found


def clip_those_stepped(trace: Trace, clipped: Clipped) -> Help | None:
    """Hand the clipping the parameters of the optimizer that steps next: as they were given to it
    where it was built, if that says the same here, or else as it has them."""
    at, step, built = clipped.at, clipped.step, trace.optimizers[clipped.optimizer].at
    file = Rewriting.of(trace, at)
    if file is None or at is None or step is None or at.file != step.file:
        return None
    clipping, stepping = file.statement(at.line), file.statement(step.line)
    stepped = re.fullmatch(r"(?:.+ = )?([\w.]+)\.step\(\)", step.code.strip())
    if clipping is None or stepping is None or stepped is None:
        return None
    calls = [
        each
        for each in ast.walk(clipping)
        if isinstance(each, ast.Call) and ast.unparse(each.func).endswith(_CLIPS) and each.args
    ]
    if len(calls) != 1 or file.function(clipping) is not file.function(stepping):
        return None
    given = calls[0].args[0]
    # In one step's names both stand: those of another function may be others.
    new = f'[p for group in {stepped[1]}.param_groups for p in group["params"]]'
    held = _built_with(trace, built) if built is not None and built.file == at.file else None
    if held is not None and _parallel(held, given, file, clipping):
        new = ast.unparse(held)
    return file.help(message("repairs.clipping.those_stepped", new=new), (*file.span(given), new))


def _built_with(trace: Trace, built: Location) -> ast.expr | None:
    """The first argument of the optimizer that is built there."""
    file = Rewriting.of(trace, built)
    statement = file.statement(built.line) if file is not None else None
    value = getattr(statement, "value", None)
    return value.args[0] if isinstance(value, ast.Call) and value.args else None


def _parallel(held: ast.expr, given: ast.expr, file: Rewriting, near: ast.stmt) -> bool:
    """Whether both are ``….parameters()`` of an attribute of one object, or of global variables."""
    names = [_owner(held), _owner(given)]
    if not all(names):
        return False
    (one, *first), (other, *second) = (each.split(".") for each in names)
    function = file.function(near)
    if first and second:
        return names[0].rpartition(".")[0] == names[1].rpartition(".")[0]
    return not first and not second and (function is None or not {one, other} & _bound(function))


def _owner(node: ast.expr) -> str:
    found = re.fullmatch(r"([\w.]+)\.parameters\(\)", ast.unparse(node))
    return found[1] if found is not None else ""


def _bound(function: Function) -> set[str]:
    names = {each.arg for each in ast.walk(function.args) if isinstance(each, ast.arg)}
    return names | {
        each.id
        for each in ast.walk(function)
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    }


def _self(function: Function) -> str:
    return function.args.args[0].arg if function.args.args else ""
