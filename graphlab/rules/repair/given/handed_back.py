"""Repair of a function that gives what a network made without its graph, also to the step of the
network's own optimizer."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from graphlab.language import message
from graphlab.rules.steps import first_per_optimizer
from graphlab.source.places import nodes_in
from graphlab.source.rewriting import Function, Rewriting
from graphlab.trace.finding import Help
from graphlab.trace.model import OptimizerInfo, Trace


def given_with_graph(trace: Trace, optimizer: OptimizerInfo) -> Iterator[Help]:
    """``return self.gen(z)`` for ``return self.gen(z).detach()``, where the function that steps the
    optimizer of that network calls it, and so does another one, for which it may be meant."""
    place = trace.optimizers.index(optimizer)
    step = next(first_per_optimizer(trace, lambda each: each.optimizer == place, times=1), None)
    owners = {trace.tensors[at].owner or "" for at in optimizer.never_reached}
    at = step.at if step is not None else None
    stepping = _function_at(trace, at.file, at.line) if at is not None else None
    if at is None or stepping is None or {*optimizer.owns} != {*optimizer.never_reached}:
        return
    lasts = {each.rpartition(".")[2] for each in owners}
    found = []
    for path in sorted(trace.sources):
        file = Rewriting.of(trace, replace(at, file=path))
        for node in ast.walk(file.tree) if file is not None else ():
            value = node.value if isinstance(node, ast.Return) else None
            made = _detached(value) if value is not None else None
            if file is None or not isinstance(node, ast.Return) or value is None or made is None:
                continue
            function = file.function(node)
            if ast.unparse(made.func).rpartition(".")[2] in lasts and function is not None:
                found.append((file, function, value, made))
    if len(found) != 1:
        return
    file, function, value, made = found[0]
    calling = [e for source in trace.sources.values() for e in _calling(source, function.name)]
    if stepping.name not in calling or len({*calling}) < 2:
        return
    text = message("repairs.given.with_graph", function=function.name, made=file.text(made))
    edit = file.help(text, (file.span(made)[1], file.span(value)[1], ""))
    if edit is not None:
        yield edit


def _detached(value: ast.expr) -> ast.Call | None:
    """``G(z)``, of ``G(z).detach()``."""
    func = value.func if isinstance(value, ast.Call) else None
    if not isinstance(func, ast.Attribute) or func.attr != "detach":
        return None
    return func.value if isinstance(func.value, ast.Call) else None


def _function_at(trace: Trace, file: str, line: int) -> Function | None:
    around = [
        each
        for each in nodes_in(trace.sources.get(file, ""))
        if isinstance(each, ast.FunctionDef) and each.lineno <= line <= (each.end_lineno or 0)
    ]
    return max(around, key=lambda each: each.lineno, default=None)


def _calling(source: str, name: str) -> Iterator[str]:
    """The functions in which one of that name is called."""
    for scope in nodes_in(source):
        if isinstance(scope, ast.FunctionDef) and scope.name != name:
            calls = (each for each in ast.walk(scope) if isinstance(each, ast.Call))
            if any(ast.unparse(each.func).rpartition(".")[2] == name for each in calls):
                yield scope.name
