"""What a search through the source of a value can find, and what it has met on its way."""

from __future__ import annotations

import ast
from typing import Any, Final

import torch

from graphlab.observe.notes import Cut
from graphlab.observe.tensors import is_leaf, is_tensor, is_view, requires_grad
from graphlab.source.objects import items

# A search that has read so many expressions knows no more than that. Those of a usual script take
# a few hundred; through the methods of a large library they would multiply without end.
LONGEST = 2_000

# The result for a value that had a graph behind it.
HAS_GRAPH: Final = "has a graph"


# HAS_GRAPH, or the Cut where the value lost its graph, or None: it never had one.
Result = Cut | str | None


class Trail:
    """What was found on the way: modules that were called and leaves, and the cuts with those
    behind each.

    A `thorough` search goes on at a value with a graph, as part of it may have been cut off. Of
    other tensors than leaves, only the one that is `wanted` is noted.
    """

    def __init__(self, thorough: bool = False, wanted: Any = None, refused: bool = False) -> None:
        self.thorough, self.wanted = thorough, wanted
        # Whether the value is one that torch refused for want of a graph: it was to have one.
        self.refused = refused
        self.modules: list[Any] = []
        self.cuts: list[tuple[Cut, list[Any]]] = []
        # What is behind the arguments of the functions that it went into, by (scope, name).
        self.given: dict[tuple[int, str], list[Any]] = {}
        # The calls of modules whose parameters are all frozen; and cuts before such a call.
        self.frozen: list[tuple[Cut, Any]] = []
        self.cut_before: list[tuple[Cut, Any]] = []
        # The lines of a function, by its scope, whose nodes lead to the loss, where that is known;
        # and the cuts that it has told.
        self.lead: dict[int, set[int]] = {}
        self.told: list[Cut] = []
        # Whether gradients were on where the search began.
        self.grad_enabled = torch.is_grad_enabled()
        self._read = 0

    def is_long(self) -> bool:
        """Count one more expression, and say whether the search ends here."""
        self._read += 1
        return self._read > LONGEST

    def note(self, value: Any) -> None:
        """Add the leaves among a value, or in it."""
        for each in (value,) if is_tensor(value) else (one for _, one in items(value, 16)):
            leaf = is_tensor(each) and requires_grad(each) and not is_view(each) and is_leaf(each)
            if leaf or (each is self.wanted and each is not None):
                self.modules.append(each)


def creates(call: ast.Call) -> bool:
    """Whether a call of autograd.grad() records a graph for its result, as far as is written."""
    if any(each.arg is None for each in call.keywords):
        return True
    said = [each.value for each in call.keywords if each.arg == "create_graph"] or call.args[4:5]
    return any(not isinstance(each, ast.Constant) or bool(each.value) for each in said)


def first_of(results: list[Result]) -> Result:
    """Of several operands: one with a graph is enough; else the first that lost one."""
    if HAS_GRAPH in results:
        return HAS_GRAPH
    return next((each for each in results if each is not None), None)


def has_graph(value: Any) -> bool:
    if is_tensor(value):
        return requires_grad(value)
    return any(has_graph(each) for _, each in items(value, 16))
