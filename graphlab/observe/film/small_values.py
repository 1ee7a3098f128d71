"""The numbers of tensors that are small enough to be read: their values as lines run, and the
gradient that a backward with stale tensors should give and would give.

That gradient is computed on the program's own graph: its parameters get their earlier values and
version counters for the time of one backward, and then their own again. It is done only where no
code of the program's could run in it, and where every leaf is small.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from graphlab.observe.graph.walk import leaf_of, listed, walk
from graphlab.observe.notes import Log
from graphlab.observe.optimizers.harm import gradients, put_values, safe
from graphlab.observe.tensors import Unnoticed, count_of, is_tensor, readable, version_of

# A tensor with more elements is not read.
SMALL = 8
# A graph with more nodes is not run again.
NODES = 200
Values = tuple[float, ...]
_native: Any = torch._C.TensorBase


class GradientPair(NamedTuple):
    """The gradient of a leaf: the right one, and the one that the values of now would give."""

    leaf: Any
    right: Values
    stale: Values


class _Earlier(NamedTuple):
    """A small parameter as it was before its last write, for `harm.put_values`."""

    tensor: Any
    values: Any
    version: int


def values_of(tensor: Any) -> Values | None:
    """The values of a small real tensor in the CPU's memory, as they lie there; else None. To be
    called in an `Unnoticed` block."""
    if count_of(tensor) > SMALL or not readable(tensor):
        return None
    plain = _native.detach(tensor)
    if not plain.is_floating_point() or plain.device.type != "cpu":
        return None
    found = tuple(_native.reshape(plain, (-1,)).tolist())
    return found if all(map(math.isfinite, found)) else None


class SmallValues:
    """Remembers the small parameters as they were before their last write."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._now: dict[int, _Earlier] = {}
        self._before: dict[int, _Earlier] = {}
        self._large: set[int] = set()

    def values(self, place: int, tensor: Any) -> Values | None:
        """`values_of` of the parameter with this index; what was too large once is not asked
        again."""
        if place in self._large:
            return None
        found = values_of(tensor)
        if found is None and count_of(tensor) > SMALL:
            self._large.add(place)
        return found

    def seen(self, place: int, tensor: Any, version: int, values: Values | None) -> None:
        """A parameter has these values now."""
        known = self._now.get(place)
        if values is None or (known is not None and known.version == version):
            return
        if known is not None:
            self._before[place] = known
        self._now[place] = _Earlier(tensor, _native.clone(_native.detach(tensor)), version)

    def pairs(self, arguments: Mapping[str, Any]) -> list[GradientPair]:
        """The gradients of a backward that is about to run with these arguments, and that torch
        will refuse for a stale tensor. Empty where it will not, or where that cannot be told."""
        roots = listed(arguments.get("tensors"))
        if not self._before or len(roots) != 1 or not is_tensor(roots[0]):
            return []
        if count_of(roots[0]) != 1 or arguments.get("grad_tensors") is not None:
            return []
        set_version = getattr(
            getattr(torch._C, "_autograd", None), "_unsafe_set_version_counter", None
        )
        with Unnoticed():
            nodes = walk([getattr(roots[0], "grad_fn", None)], NODES + 1)
            leaves = [leaf for node in nodes if (leaf := leaf_of(node)) is not None]
            small = all(values_of(each) is not None for each in leaves)
            if set_version is None or len(nodes) > NODES or not small or not safe(nodes, self._log):
                return []
            return self._compared(roots[0], leaves, set_version)

    def _compared(self, root: Any, leaves: list[Any], set_version: Any) -> list[GradientPair]:
        moved = [each for each in self._before.values() if version_of(each.tensor) > each.version]
        written = {id(each.tensor) for each in moved}
        wanted = [leaf for leaf in leaves if id(leaf) not in written]
        if not moved or not wanted or _tried(root, wanted) is not None:
            return []
        now = [_native.clone(_native.detach(each.tensor)) for each in moved]
        counters = [version_of(each.tensor) for each in moved]
        tensors = tuple(each.tensor for each in moved)
        try:
            put_values(moved, [each.values for each in moved])
            set_version(tensors, tuple(each.version for each in moved))
            right = _tried(root, wanted)
            put_values(moved, now)
            stale = _tried(root, wanted)
        finally:
            put_values(moved, now)
            set_version(tensors, tuple(counters))
        if right is None or stale is None:
            return []
        return [
            GradientPair(leaf, one, other)
            for leaf, one, other in zip(wanted, right, stale, strict=True)
            if one is not None and other is not None
        ]


def _tried(root: Any, wanted: list[Any]) -> list[Values | None] | None:
    """The gradients of these leaves; None where torch refuses."""
    try:
        found = gradients(root, wanted)
    except RuntimeError:
        return None
    return [values_of(each) if each is not None else None for each in found]
