"""Keeps a deep graph's nodes alive until its losses are gone: torch may not survive less.

Torch frees a graph without recursion, except for nodes that Python has seen: of those a chain of
some fifty thousand overflows the stack, in the program's own next assignment to its loss. While a
list of the nodes is held after the loss is gone, each of them can be let go alone.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Iterable
from typing import Any

from graphlab.observe.tensors import is_tensor

# Smaller graphs are never that deep.
DEEP = 10_000

_held: dict[int, list[Any]] = {}
_left: dict[int, int] = {}
_gone: list[int] = []
# At the interpreter's end these lists must outlive the program's own variables, so that nothing
# of a graph is freed there at all: the dict is never freed.
ctypes.pythonapi.Py_IncRef(ctypes.py_object(_held))


def hold(nodes: list[Any], losses: Iterable[Any]) -> None:
    """Keep a copy of `nodes`, a walk from `losses`, until the last of those is gone and this or
    `sweep` is called again."""
    sweep()
    if len(nodes) <= DEEP:
        return
    kept = nodes[:]
    key = id(kept)
    tensors = [each for each in losses if is_tensor(each)]
    if not tensors:
        return
    _held[key], _left[key] = kept, len(tensors)
    for tensor in tensors:
        weakref.finalize(tensor, _one_less, key).atexit = False


def sweep() -> None:
    """Let go of what was held for losses that are gone."""
    while _gone:
        release(_held.pop(_gone.pop()))


def release(nodes: list[Any]) -> None:
    """Let go of a walk's nodes from the losses on, emptying the list."""
    nodes.reverse()
    while nodes:
        nodes.pop()


def _one_less(key: int) -> None:
    # Not yet `release`: at this moment the loss still holds its grad_fn.
    _left[key] -= 1
    if not _left[key]:
        del _left[key]
        _gone.append(key)
