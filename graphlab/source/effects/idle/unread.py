"""Finds helpers of a training loop that are made and then used nowhere: a moving average, the
updater of a target network."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from graphlab.source.places import place
from graphlab.trace.values import Location

# What such a helper is called by its maker, and the method that the loop is to call.
_HELPERS = (
    (re.compile(r"(Soft|Hard)Update|TargetNetUpdater"), "step()"),
    (re.compile(r"AveragedModel"), "update_parameters(model)"),
    (re.compile(r"(Model)?E(MA|ma)(V[23])?|ExponentialMovingAverage"), "update()"),
)


@dataclass(frozen=True, slots=True)
class Unread:
    """``name = kind(…)`` at `at`, whose `method` nobody calls."""

    at: Location
    name: str
    kind: str
    method: str


def unread_helpers(sources: Mapping[str, str], file: str, step: int) -> Iterator[Unread]:
    """Those that the function with line `step` makes above that line, in a variable whose name no
    file reads, nor says in a comment."""
    try:
        trees = {each: ast.parse(text) for each, text in sources.items()}
    except (SyntaxError, ValueError):
        return
    if file not in trees:
        return
    here = _innermost(trees[file], step)
    for node in ast.walk(here):
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
            continue
        (target, *others), method = node.targets, _method(node.value)
        if others or not isinstance(target, ast.Name) or method is None or node.lineno >= step:
            continue
        if _innermost(trees[file], node.lineno) is not here:
            continue
        word = re.compile(rf"\b{re.escape(target.id)}\b")
        said = sum(len(word.findall(text)) for text in sources.values())
        if said == 1:
            kind = ast.unparse(node.value.func).rpartition(".")[2]
            yield Unread(place(node, file, source=sources[file]), target.id, kind, method)


def _method(call: ast.Call) -> str | None:
    name = ast.unparse(call.func).rpartition(".")[2]
    return next((method for kind, method in _HELPERS if kind.fullmatch(name)), None)


def _innermost(tree: ast.Module, line: int) -> ast.AST:
    """The innermost function around a line; else the whole file."""
    found: ast.AST = tree
    for node in ast.walk(tree):
        function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if function and node.lineno <= line <= (node.end_lineno or 0):
            found = node
    return found
