"""Repairs of a forward that undoes each step of the optimizer, as a rounded weight's does."""

from __future__ import annotations

import ast
import re

from graphlab.language import message
from graphlab.rules.steps import last_step
from graphlab.source.rewriting import Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import Trace
from graphlab.trace.module_sightings import StepUndone


def real_values_stepped(trace: Trace, each: StepUndone) -> Help | None:
    """Put back what ``weight.data = sign(weight.org)`` was made of before the step; or compute with
    other values than the parameter's, ``weight + (sign(weight) - weight).detach()``."""
    file = Rewriting.of(trace, each.at)
    statement = file.statement(each.at.line) if file is not None and each.at is not None else None
    if file is None or not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    target = statement.targets[0]
    if not isinstance(target, ast.Attribute) or target.attr != "data":
        return None
    name = ast.unparse(target.value)
    kept = {
        node.attr
        for node in ast.walk(statement.value)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == name
    }
    if kept <= {"data"}:
        return _computed_beside(file, statement, target.value)
    return _put_back(trace, each, kept.pop()) if len(kept) == 1 else None


def _put_back(trace: Trace, each: StepUndone, kept: str) -> Help | None:
    step = last_step(trace, each.optimizer)
    at = step.at if step is not None else None
    file = Rewriting.of(trace, at)
    statement = file.statement(at.line) if file is not None and at is not None else None
    called = re.fullmatch(r"([\w.]+)\.step\(\)", at.code.strip()) if at is not None else None
    if file is None or called is None or not isinstance(statement, ast.Expr):
        return None
    lines = (
        f"for group in {called[1]}.param_groups:",
        '    for p in group["params"]:',
        f'        if hasattr(p, "{kept}"):',
        f"            p.data.copy_(p.{kept})",
    )
    place, indent = file.whole(statement)[0], " " * statement.col_offset
    text = "".join(f"{indent}{line}\n" for line in lines)
    return file.help(message("repairs.trained.put_back", name=kept), (place, place, text))


def _computed_beside(file: Rewriting, statement: ast.Assign, held: ast.expr) -> Help | None:
    function, name = file.function(statement), ast.unparse(held)
    variable = name.rpartition(".")[2]
    if function is None or any(variable == getattr(n, "id", "") for n in ast.walk(function)):
        return None
    after = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute)
        and node.lineno > (statement.end_lineno or statement.lineno)
        and ast.unparse(node) == name
    ]
    if not after or not all(isinstance(node.ctx, ast.Load) for node in after):
        return None
    made = file.text(statement.value).replace(f"{name}.data", name)
    text = f"{variable} = {name} + ({made} - {name}).detach()"
    return file.help(
        message("repairs.trained.beside", name=name),
        (*file.span(statement), text),
        *((*file.span(node), variable) for node in after),
    )
