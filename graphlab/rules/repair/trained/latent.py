"""Repair of a layer that writes the signs, or the steps, of its own weight into that weight: what
it is trained by is lost there."""

from __future__ import annotations

import ast

from graphlab.language import message
from graphlab.rules.repair.writes import result_of
from graphlab.source.blocks import StatementInScope, read_names
from graphlab.source.rewriting import Rewriting
from graphlab.source.vocabulary import FLAT
from graphlab.trace.finding import Help
from graphlab.trace.model import Refused, Trace

# What is drawn by `bernoulli_()` is not of the weight itself.
_FLAT = {each.lower() for each in FLAT} - {"bernoulli"}


def computed_from_latent(trace: Trace, event: Refused) -> Help | None:
    """``weight = self.weight + (self.weight.sign() - self.weight).detach()`` for
    ``self.weight.copy_(self.weight.sign())`` in the forward that uses it. None where what is
    written is not flat: a weight that is kept in its bounds is written on purpose."""
    file = Rewriting.of(trace, event.at)
    at = event.at
    statement = file.statement(at.line) if file is not None and at is not None else None
    function = file.function(statement) if file is not None and statement is not None else None
    call = statement.value if isinstance(statement, ast.Expr) else None
    if file is None or statement is None or function is None or not isinstance(call, ast.Call):
        return None
    target = call.func.value if isinstance(call.func, ast.Attribute) else None
    if function.name == "__init__" or not isinstance(target, ast.Attribute):
        return None
    own, flat = file.text(target), _flat(file, call, target)
    later = [
        each
        for each in ast.walk(function)
        if isinstance(each, ast.Attribute)
        and each.lineno > (statement.end_lineno or 0)
        and ast.unparse(each) == ast.unparse(target)
        and isinstance(each.ctx, ast.Load)
    ]
    taken = {getattr(each, "id", getattr(each, "arg", "")) for each in ast.walk(function)}
    name = next((n for n in (target.attr, f"flat_{target.attr}") if n not in taken), None)
    if not flat or not later or name is None:
        return None
    edits = [(*file.span(each), name) for each in later]
    edits.append((*file.span(statement), f"{name} = {own} + ({flat} - {own}).detach()"))
    return file.help(message("repairs.trained.latent", name=own), *edits)


def _flat(file: Rewriting, call: ast.Call, target: ast.Attribute) -> str:
    """What is written, where an operation that is flat everywhere makes it of what it is written
    to."""
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if method.rstrip("_") in _FLAT and method.endswith("_") and not call.args:
        return f"{file.text(target)}.{method.rstrip('_')}()"
    if method != "copy_" or len(call.args) != 1:
        return ""
    used = {each.attr for each in ast.walk(call.args[0]) if isinstance(each, ast.Attribute)}
    return file.text(call.args[0]) if used & _FLAT and target.attr in used else ""


def another_tensor(trace: Trace, event: Refused) -> Help | None:
    """``w = w - w.mean()`` for ``w -= w.mean()``, where `w` is a function's name for a parameter,
    computed from itself and used below: under no_grad the parameter would be another one, and its
    gradient that of something else."""
    at = event.at
    here = StatementInScope.of(trace, at) if at is not None else None
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    function = file.function(statement) if file is not None and statement is not None else None
    if here is None or file is None or function is None or not isinstance(statement, ast.AugAssign):
        return None
    target = statement.target
    if not isinstance(target, ast.Name) or target.id not in read_names(statement.value):
        return None
    made = [
        each.value
        for each in ast.walk(function)
        if isinstance(each, ast.Assign) and [*map(ast.unparse, each.targets)] == [target.id]
        if each.lineno < statement.lineno
    ]
    if len(made) != 1 or not isinstance(made[0], ast.Attribute) or not here.used_later(target.id):
        return None
    text = message("repairs.writes.not_the_parameter", name=target.id, parameter=file.text(made[0]))
    return here.help(text, f"{target.id} = {result_of(here, statement)}")
