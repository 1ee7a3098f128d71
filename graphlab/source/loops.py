"""Finds the loops of a file, and tells the loop that trains from those around and inside it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any

from graphlab.source.effects.assignments import target_names
from graphlab.source.objects import variables
from graphlab.source.places import expression_of, nodes_of, parse

Loop = ast.For | ast.While | ast.AsyncFor
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp


@dataclass(frozen=True, slots=True)
class LoopLines:
    """The lines of a loop: `start` is the first of its body, `first` and `last` its own.

    trains: a backward and an optimizer's step are in it, and one of the two in no loop further in.
    over_optimizers: it steps, or clears, each of several.
    """

    start: int
    first: int
    last: int
    trains: bool
    over_optimizers: bool

    def holds(self, line: int) -> bool:
        """Whether a line is in its body."""
        return self.first < line <= self.last or line == self.start


@lru_cache(maxsize=256)
def loops_of(filename: str) -> tuple[LoopLines, ...]:
    """Every loop of a file."""
    tree = parse(filename)
    return tuple(
        LoopLines(
            node.body[0].lineno,
            node.lineno,
            node.end_lineno or node.lineno,
            _trains(node),
            _over_optimizers(node),
        )
        for node in (ast.walk(tree) if tree is not None else ())
        if isinstance(node, Loop)
    )


@lru_cache(maxsize=256)
def for_loops(filename: str) -> tuple[ast.For, ...]:
    """Every for-loop of a file: the outer ones before those in them."""
    tree = parse(filename)
    nodes = ast.walk(tree) if tree is not None else ()
    return tuple(node for node in nodes if isinstance(node, ast.For))


@lru_cache(maxsize=4096)
def loops_around(filename: str, line: int) -> tuple[LoopLines, ...]:
    """The loops around a line, the innermost first."""
    around = [each for each in loops_of(filename) if each.holds(line)]
    return tuple(sorted(around, key=lambda each: (each.first, each.start), reverse=True))


@lru_cache(maxsize=1024)
def loop_around(filename: str, line: int) -> Loop | None:
    """The innermost loop that has a line in its body, in the function that the line is in."""
    tree = parse(filename)
    found: Loop | None = None
    todo: list[ast.AST] = [tree] if tree is not None else []
    while todo:
        node = todo.pop()
        for each in ast.iter_child_nodes(node):
            if not _holds(each, line):
                continue
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
                found = None
            elif isinstance(each, Loop) and any(_holds(one, line) for one in each.body):
                found = each
            todo.append(each)
    return found


def _holds(node: ast.AST, line: int) -> bool:
    """Whether a line is one of a node's."""
    return getattr(node, "lineno", line) <= line <= (getattr(node, "end_lineno", None) or line)


@lru_cache(maxsize=256)
def repeated_lines(filename: str) -> frozenset[int]:
    """The first lines of the statements that come back to them: loops, and with at its end."""
    tree = parse(filename)
    return frozenset(
        node.lineno
        for node in (ast.walk(tree) if tree is not None else ())
        if isinstance(node, ast.With | ast.AsyncWith | Loop)
    )


@lru_cache(maxsize=256)
def one_line_loops(filename: str) -> dict[int, type[ast.AST]]:
    """The lines of the loops that are written in one: ``for batch in batches: train(batch)``."""
    tree = parse(filename)
    return {
        node.lineno: type(node)
        for node in (ast.walk(tree) if tree is not None else ())
        if isinstance(node, Loop) and node.lineno == node.end_lineno
    }


@lru_cache(maxsize=1024)
def in_comprehension(code: CodeType, offset: int) -> bool:
    """Whether an instruction is in what a comprehension makes for each of its turns."""
    node = expression_of(code, offset)
    return node is not None and any(
        node in nodes_of(made)
        for each in nodes_of(parse(code.co_filename))
        if isinstance(each, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp)
        for made in ([each.key, each.value] if isinstance(each, ast.DictComp) else [each.elt])
    )


@lru_cache(maxsize=1024)
def _comprehended(filename: str, line: int) -> frozenset[str]:
    """The variables of the comprehensions in a line, but for generators."""
    return frozenset(
        name
        for each in nodes_of(parse(filename))
        if isinstance(each, Comprehension) and each.lineno <= line <= (each.end_lineno or 0)
        for generator in each.generators
        for name in target_names(generator.target)
    )


def spaces_of(frame: FrameType) -> list[Any]:
    """The spaces of a frame's variables, the innermost first. From Python 3.12 on, those of the
    comprehension that it is in are among its own: on 3.11 that had a frame."""
    space = frame.f_locals
    names = _comprehended(frame.f_code.co_filename, frame.f_lineno or 0)
    if not any(name in space for name in names) or space is frame.f_globals:
        return [space]
    own = variables(space)
    return [{name: own.pop(name) for name in names & own.keys()}, own]


def headers_around(filename: str, line: int) -> frozenset[int]:
    """The header lines of the loops around a line."""
    around = (each for each in loops_of(filename) if each.first <= line <= each.last)
    return frozenset(each.first for each in around)


def _trains(loop: Loop) -> bool:
    calls = [_kind(each) for each in ast.walk(loop)]
    if "backward" not in calls or "step" not in calls:
        return False
    return any(_kind(each) for each in _direct(loop.body))


def _over_optimizers(loop: Loop) -> bool:
    """Whether the loop's variable is what steps in it: ``for each in optimizers: each.step()``."""
    names = target_names(loop.target) if not isinstance(loop, ast.While) else set()
    return any(
        isinstance(each, ast.Call)
        and isinstance(each.func, ast.Attribute)
        and each.func.attr in ("step", "zero_grad")
        and ast.unparse(each.func.value) in names
        for each in ast.walk(loop)
    )


def _direct(nodes: list[ast.stmt]) -> Iterator[ast.AST]:
    """Everything in these statements but what is in a loop further in."""
    todo: list[ast.AST] = [*nodes]
    while todo:
        node = todo.pop()
        if not isinstance(node, Loop):
            yield node
            todo.extend(ast.iter_child_nodes(node))


def _kind(node: ast.AST) -> str:
    """ "backward", "step" or "": what a call trains by. A step() counts if the source says that it
    is an optimizer's: schedulers, profilers and environments step as well."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return ""
    name, receiver = node.func.attr, ast.unparse(node.func.value).lower()
    if name in ("backward", "manual_backward") or (name == "grad" and "autograd" in receiver):
        return "backward"
    if name != "step" or any(word in receiver for word in ("sched", "warmup", "prof", "env")):
        return ""
    words = ("opt", "scaler", "adam", "sgd")
    known = any(word in receiver for word in words)
    return "step" if known or (not node.args and not node.keywords) else ""
