"""Measures what a step that no version counter shows did to the gradient of a later backward.

The backward is run twice more, once with the values from before the step: the program's own then
runs as it would have. That is done once for a line, and only where no code of the program's could
run in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from graphlab.observe.graph.walk import is_function, leaf_of, listed, sequence, unpacks_by_hook
from graphlab.observe.notes import Harm, Log
from graphlab.observe.optimizers.vectors import SavedValues, computable, dense, dot, numbers
from graphlab.observe.tensors import count_of, is_tensor

# A graph larger than this is not run again.
LARGEST = 20_000
_native: Any = torch._C.TensorBase
_hooks: Any = _native._backward_hooks.__get__


def measure(
    values: dict[str, Any], nodes: list[Any], copies: list[SavedValues], log: Log, apart: set[int]
) -> Harm | None:
    """How the gradient of the backward with the arguments `values` differs from the one at the
    values in `copies`, over the leaves that are not in `apart` (identities). None if that cannot be
    measured without running any code of the program's, or any hook."""
    roots = listed(values.get("tensors"))
    plain = len(roots) == 1 and is_tensor(roots[0]) and count_of(roots[0]) == 1
    if not plain or values.get("grad_tensors") is not None or not safe(nodes, log):
        return None
    leaves = [leaf for node in nodes if (leaf := leaf_of(node)) is not None]
    if any(_hooks(leaf) for leaf in leaves):
        return None
    wanted = [leaf for leaf in leaves if id(leaf) not in apart] or leaves
    moved = [each for each in copies if each.values is not None]
    if not wanted or not moved:
        return None
    used = gradients(roots[0], wanted)
    now = [_native.clone(each.tensor.detach()) for each in moved]
    try:
        put_values(moved, [each.values for each in moved])
        right = gradients(roots[0], wanted)
    finally:
        put_values(moved, now)
    return _difference(used, right)


def safe(nodes: list[Any], log: Log) -> bool:
    """Whether a backward through `nodes` can be run again and no code of the program's runs."""
    if len(nodes) > LARGEST or log.hooks_used:
        return False
    return not any(
        sequence(node) < log.began or is_function(node) or unpacks_by_hook(node) for node in nodes
    )


def put_values(moved: Sequence[Any], values: list[Any]) -> None:
    """Write `values` into each `tensor` of `moved`, through `.data`, which has a version counter of
    its own."""
    for each, value in zip(moved, values, strict=True):
        _native.copy_(_native.data.__get__(each.tensor), value)


def gradients(root: Any, leaves: list[Any]) -> list[Any]:
    """The gradient of each leaf, or None; the graph is kept."""
    return [*torch.autograd.grad(root, leaves, retain_graph=True, allow_unused=True)]


def _difference(used: Iterable[Any], right: Iterable[Any]) -> Harm | None:
    sums: list[Any] = []
    for one, other in zip(used, right, strict=True):
        if one is None or other is None or not computable(one) or not computable(other):
            continue
        a, b = dense(one), dense(other)
        sums.append((dot(a, a), dot(b, b), dot(a, b), dot(a - b, a - b)))
    if not sums:
        return None
    flat = numbers([value for row in sums for value in row])
    mine, theirs, inner, apart = (sum(flat[at::4]) for at in range(4))
    if mine <= 0.0 or theirs <= 0.0:
        return None
    return Harm(inner / (mine * theirs) ** 0.5, (apart / theirs) ** 0.5)
