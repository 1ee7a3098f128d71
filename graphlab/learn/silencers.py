"""Finds what is popular for making an error go away, and often only silences it."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Silencer:
    """One such writing, by its name in `SILENCERS`, and its line."""

    name: str
    line: int


def silencers(source: str) -> list[Silencer]:
    """All of them in a source, in the order of its lines; none if it does not parse."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found = [
        Silencer(name, getattr(node, "lineno", 0))
        for node in ast.walk(tree)
        for name, (_, holds) in SILENCERS.items()
        if holds(node)
    ]
    return sorted(found, key=lambda each: each.line)


def added(source: str, base: str) -> list[Silencer]:
    """Those of `source` that are more than `base` has: of each name, the last ones."""
    left = Counter(each.name for each in silencers(base))
    found: list[Silencer] = []
    for each in silencers(source):
        left[each.name] -= 1
        if left[each.name] < 0:
            found.append(each)
    return found


def key(name: str) -> str:
    """What its text in the catalogues is called."""
    return SILENCERS[name][0]


def _sets(word: str) -> Callable[[ast.AST], bool]:
    """Whether a node is a call's keyword `word` with the value True."""

    def holds(node: ast.AST) -> bool:
        return isinstance(node, ast.keyword) and node.arg == word and _true(node.value)

    return holds


def _true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _named(*names: str) -> Callable[[ast.AST], bool]:
    """Whether a node is an attribute, or a bare name, of one of these names."""

    def holds(node: ast.AST) -> bool:
        return (isinstance(node, ast.Attribute) and node.attr in names) or (
            isinstance(node, ast.Name) and node.id in names
        )

    return holds


def _data(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "data"


def _requires_grad(node: ast.AST) -> bool:
    if isinstance(node, ast.Assign):
        return _true(node.value) and any(
            isinstance(each, ast.Attribute) and each.attr == "requires_grad"
            for each in node.targets
        )
    return _named("requires_grad_")(node) or _sets("requires_grad")(node)


def _swallows(node: ast.AST) -> bool:
    return isinstance(node, ast.ExceptHandler) or _named("suppress")(node)


# The writing, as an assertion names it: its text's name, and what tells it.
SILENCERS: dict[str, tuple[str, Callable[[ast.AST], bool]]] = {
    "retain_graph=True": ("retain_graph", _sets("retain_graph")),
    "fused=True": ("fused", _sets("fused")),
    ".data": ("data", _data),
    ".detach()": ("detach", _named("detach", "detach_")),
    "torch.no_grad()": ("no_grad", _named("no_grad", "inference_mode", "set_grad_enabled")),
    "requires_grad": ("requires_grad", _requires_grad),
    "except": ("swallow", _swallows),
}
