"""Finds the inference_mode block or decorator under which a tensor was made."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch

from graphlab.observe.notes import Log
from graphlab.observe.origins.bindings import FUNCTIONS, around, bindings, scope_around, word_of
from graphlab.observe.origins.context import code_scope
from graphlab.observe.origins.flow import Origin
from graphlab.observe.origins.project import Project
from graphlab.observe.origins.times import Times
from graphlab.source.objects import LOST, static
from graphlab.source.places import locate, place
from graphlab.trace.model import Location


class Guard(NamedTuple):
    """`node` is the expression that turns inference mode on, `body` what runs under it."""

    file: str
    node: ast.AST
    body: tuple[ast.AST, ...]

    @property
    def at(self) -> Location:
        scope = scope_around(self.node, self.file)
        return place(self.node, self.file, getattr(scope, "name", "<module>"))


def guards(project: Project) -> list[Guard]:
    """Every guard in the user's source."""
    found = []
    for file, tree in project.trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.With | ast.AsyncWith):
                found += [
                    Guard(file, each.context_expr, (*node.body, *_lent(node, file, project)))
                    for each in node.items
                    if _is_inference(each.context_expr, file)
                ]
            elif isinstance(node, FUNCTIONS):
                found += [
                    Guard(file, each, (node,))
                    for each in node.decorator_list
                    if _is_inference(each, file)
                ]
            elif isinstance(node, ast.Call) and _is_entered(node, file):
                found.append(Guard(file, node, (scope_around(node, file),)))
            elif isinstance(node, ast.Call) and node.args and _is_inference(node.func, file):
                # ``fn = torch.inference_mode()(fn)``, also without the first parentheses.
                wrapped = [
                    function
                    for each in node.args
                    for _, function in project.functions.get(word_of(each).lstrip("."), ())
                ]
                if wrapped:
                    found.append(Guard(file, node, tuple(wrapped)))
    return found


def _lent(node: ast.AST, file: str, project: Project) -> Iterator[ast.AST]:
    """What runs where a context manager of the user's yields inside of the block `node`."""
    function = scope_around(node, file)
    yields = any(isinstance(each, ast.Yield) for each in ast.walk(node))
    decorators = [ast.unparse(each) for each in getattr(function, "decorator_list", ())]
    if not yields or not any("contextmanager" in each for each in decorators):
        return
    for tree in project.trees.values():
        for each in ast.walk(tree):
            if isinstance(each, ast.With | ast.AsyncWith) and any(
                isinstance(item.context_expr, ast.Call)
                and word_of(item.context_expr.func).lstrip(".") == getattr(function, "name", "")
                for item in each.items
            ):
                yield from each.body


def _is_entered(node: ast.Call, file: str) -> bool:
    """Whether it is ``stack.enter_context(torch.inference_mode())``."""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    return name == "enter_context" and bool(node.args) and _is_inference(node.args[0], file)


def _is_inference(node: ast.expr, file: str, depth: int = 0) -> bool:
    if isinstance(node, ast.IfExp):
        return _is_inference(node.body, file) or _is_inference(node.orelse, file)
    called = node.func if isinstance(node, ast.Call) else node
    if isinstance(node, ast.Call) and any(
        isinstance(each, ast.Constant) and each.value is False
        for each in (*node.args, *(word.value for word in node.keywords))
    ):
        return False
    if isinstance(called, ast.Call):
        return _is_inference(called, file, depth)
    word = word_of(called)
    if word.lstrip(".") == "inference_mode":
        return True
    # A variable that holds the guard, or the class.
    return depth < 2 and any(
        isinstance(each.value, ast.expr) and _is_inference(each.value, file, depth + 1)
        for _, each in bindings(file).get(word, ())
        if isinstance(each.value, ast.Attribute | ast.Call | ast.IfExp | ast.Name)
    )


def guard_of(
    origins: list[Origin], project: Project, log: Log | None, times: Times | None
) -> Guard | None:
    """The guard under which one of `origins` ran; None if several may be it."""
    every = guards(project)
    entered = _entered(every, log) if log is not None else None
    if entered is not None and len(entered) == 1:
        return entered[0]
    candidates = entered or every
    lexical = {
        id(each.node): each
        for origin in origins
        if (each := _around(origin, candidates)) is not None
    }
    if len(lexical) == 1:
        return next(iter(lexical.values()))
    if lexical:
        return None
    if not origins:
        return candidates[0] if len(candidates) == 1 else None
    scopes = {id(scope_around(each.node, each.context.file)) for each in origins}
    reached = [each for each in candidates if scopes & _reached(each, project)]
    if len(reached) > 1 and times is not None and log is not None:
        reached = _by_time(reached, origins, log, times)
    return reached[0] if len(reached) == 1 else None


def _around(origin: Origin, every: Iterable[Guard]) -> Guard | None:
    """The innermost guard around an operation in its own function."""
    above = [origin.node, *around(origin.node, origin.context.file)]
    for node in above:
        for each in every:
            if node in each.body:
                return each
    return None


def _entered(every: list[Guard], log: Log) -> list[Guard] | None:
    """Those that were seen to be entered; None if one was that the source does not show."""
    found: dict[int, Guard] = {}
    for code, offset in log.guards:
        if offset is None:
            scope = code_scope(code)
            fitting = [each for each in every if scope in each.body]
        else:
            at = locate(code, offset)
            fitting = [
                each
                for each in every
                if each.file == at.file
                and each.node.lineno <= at.line <= (each.node.end_lineno or 0)  # type: ignore[attr-defined]
            ]
        if not fitting:
            return None
        found.update({id(each.node): each for each in fitting[:1]})
    return list(found.values()) or None


def _by_time(reached: list[Guard], origins: list[Origin], log: Log, times: Times) -> list[Guard]:
    """The guard that was on when one of the operations last ran under any."""
    best: tuple[int, Guard] | None = None
    for each in reached:
        for code, offset in log.guards:
            scope = code_scope(code) if offset is None else None
            line = locate(code, offset).line if offset is not None else 0
            mine = scope in each.body if scope is not None else (
                each.node.lineno <= line <= (each.node.end_lineno or 0)  # type: ignore[attr-defined]
                and each.file == code.co_filename
            )  # fmt: skip
            for first, last in log.guards[code, offset] if mine else ():
                for origin in origins:
                    line = getattr(origin.node, "lineno", 0)
                    when = times.within(origin.context.file, line, first, last)
                    if when >= 0 and (best is None or when > best[0]):
                        best = when, each
    return [best[1]] if best is not None else reached


def _reached(guard: Guard, project: Project) -> set[int]:
    """The functions, by identity of their nodes, that may run under a guard."""
    found: set[int] = set()
    todo: list[tuple[str, ast.AST]] = [(guard.file, each) for each in guard.body]
    while todo:
        file, node = todo.pop()
        for each in ast.walk(node):
            if isinstance(each, (*FUNCTIONS, ast.Lambda)):
                found.add(id(each))
            if isinstance(each, ast.Call):
                for where, function in _called(each, file, project):
                    if id(function) not in found:
                        found.add(id(function))
                        todo.append((where, function))
    return found


def _called(call: ast.Call, file: str, project: Project) -> Iterator[tuple[str, Any]]:
    """The user's functions that a call may run, by their names: too many rather than too few."""
    func = call.func
    name = word_of(func).lstrip(".")
    known = project.functions.get(name, [])
    yield from known
    for where, node in project.classes.get(name, ()):
        for each in node.body:
            if getattr(each, "name", "") in ("__init__", "__post_init__"):
                yield where, each
    library = isinstance(func, ast.Attribute) and project.is_library(func.value)
    builtin = isinstance(func, ast.Name) and name in __builtins__  # type: ignore[operator]
    method = isinstance(func, ast.Attribute) and static(torch.Tensor, name) is not LOST
    if known or library or builtin or method or name in project.classes:
        return
    # A module or another object that is called.
    for each in ("forward", "__call__"):
        yield from project.functions.get(each, ())
