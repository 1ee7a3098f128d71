"""Reads from source what the blocks around a line do to gradients."""

from __future__ import annotations

import ast
import os
from types import FrameType
from typing import Final

import torch

from graphlab.language import message
from graphlab.observe.notes import Cut, CutAt
from graphlab.source.effects.assignments import call_or_source, is_guard, scope_of
from graphlab.source.files import UserFiles, installed
from graphlab.source.places import beside, kinds_of, line_place, parse, statement_at
from graphlab.source.vocabulary import HARMLESS_BLOCKS
from graphlab.trace.model import Location

# A block turns gradients on, or may do either.
ENABLED: Final = "on"
UNKNOWN: Final = "unknown"

_FUNCTIONS = ast.FunctionDef, ast.AsyncFunctionDef
# Where a module is called from, which leaves gradients alone.
_CALLING = os.path.join(os.path.dirname(torch.__file__), "nn", "modules", "module.py")
_GRAPHLAB = __name__.partition(".")[0]


def mode_at(file: str, scope: ast.AST | None, line: int, function: str) -> Cut | str | None:
    """What the blocks around `line` in the function `scope` do, the innermost first: the guard that
    turns gradients off, ENABLED, UNKNOWN, or None where there is no such block."""
    tree = parse(file)
    around = [
        each
        for each in kinds_of(tree, ast.With, ast.AsyncWith, *_FUNCTIONS)
        if each.lineno < line <= (each.end_lineno or 0)
    ]
    unknown: str | None = None
    for each in sorted(around, key=lambda each: each.lineno, reverse=True):
        block = isinstance(each, ast.With | ast.AsyncWith)
        told = [item.context_expr for item in each.items] if block else each.decorator_list
        for expression in reversed(told):
            if _enables(expression):
                return unknown or ENABLED
            if is_guard(expression):
                return Cut(expression, ast.unparse(expression), file, function)
            if block and not _is_harmless(expression):
                unknown = UNKNOWN
        if each is scope:
            # What is around a function's definition is not around its calls.
            break
    return unknown


def guard_around(file: str, tree: ast.Module | None, line: int, function: str) -> Cut | None:
    """The last of the guards that turn gradients off around a line: a block's or a decorator's."""
    best: ast.expr | None = None
    for each in kinds_of(tree, ast.With, ast.FunctionDef):
        if not each.lineno < line <= (each.end_lineno or 0):
            continue
        block = isinstance(each, ast.With)
        told = [item.context_expr for item in each.items] if block else each.decorator_list[::-1]
        best = next((one for one in reversed(told) if is_guard(one)), best)
    return Cut(best, _short(ast.unparse(best)), file, function) if best is not None else None


def _short(by: str) -> str:
    return by if len(by) < 60 else by[:57] + "…"


def off_in_library(frame: FrameType | None, files: UserFiles) -> Cut | None:
    """The user's function that a library called, known to run with gradients off, where no line of
    the user's turns them off: ``validation_step()``. None where torch itself stands between, as
    around the forward of a Function, or a block of the user's that is not known."""
    told: Cut | None = None
    mine: FrameType | None = None
    while frame is not None:
        code = frame.f_code
        package = str(frame.f_globals.get("__name__") or "").partition(".")[0]
        if code in files:
            mine = frame
            scope = scope_of(parse(code.co_filename), code.co_firstlineno, code.co_name)
            if mode_at(code.co_filename, scope, frame.f_lineno, code.co_qualname) is not None:
                return None
        elif package == "torch" and code.co_filename != _CALLING:
            if told is None:
                return None
        elif told is None and mine is not None and package not in ("torch", _GRAPHLAB):
            if not installed(code.co_filename):
                return None
            told = _called_by(package, mine)
        frame = frame.f_back
    return told


def _called_by(package: str, frame: FrameType) -> Cut | None:
    code = frame.f_code
    scope = scope_of(parse(code.co_filename), code.co_firstlineno, code.co_name)
    if not isinstance(scope, _FUNCTIONS):
        return None
    key = "inference" if torch.is_inference_mode_enabled() else "gradients_off"
    by = message(f"observed.by.{key}", package=package, function=scope.name)
    return CutAt(line_place(code.co_filename, scope.lineno, code.co_qualname), by)


def switched_off(file: str, function: str) -> Cut | None:
    """The statement of a file that turns gradients off for good."""
    tree = parse(file)
    for each in kinds_of(tree, ast.Expr):
        if isinstance(each.value, ast.Call):
            text = ast.unparse(each)
            if text.endswith("set_grad_enabled(False)"):
                return Cut(each, text, file, function)
    return None


def _enables(expression: ast.expr) -> bool:
    """Whether it is ``torch.enable_grad()`` or another guard that was told to turn them on."""
    word = call_or_source(expression).removesuffix("()").rsplit(".", 1)[-1]
    if word == "enable_grad":
        return True
    given = [*expression.args, *(each.value for each in expression.keywords)] \
        if isinstance(expression, ast.Call) else []  # fmt: skip
    wanted = word == "set_grad_enabled"
    if word not in ("set_grad_enabled", "inference_mode") or not given:
        return False
    return isinstance(given[0], ast.Constant) and given[0].value is wanted


def _is_harmless(expression: ast.expr) -> bool:
    """Whether it is known to leave gradients alone, such as ``open()``."""
    called = expression.func if isinstance(expression, ast.Call) else expression
    return ast.unparse(called).rsplit(".", 1)[-1] in HARMLESS_BLOCKS


def runs_below(at: Location | None) -> bool:
    """Whether the statements beside ``model.eval()`` at `at` call the model with gradients off:
    ``with torch.no_grad(): model(x)``."""
    statement = statement_at(at.file, at.line) if at is not None else None
    value = statement.value if isinstance(statement, ast.Expr) else None
    if at is None or not isinstance(value, ast.Call) or not isinstance(value.func, ast.Attribute):
        return False
    name = ast.unparse(value.func.value)
    return any(
        isinstance(each, ast.With)
        and each.lineno > at.line
        and any(is_guard(item.context_expr) for item in each.items)
        and any(isinstance(n, ast.Call) and ast.unparse(n.func) == name for n in ast.walk(each))
        for each in beside(at.file, at.line)
    )
