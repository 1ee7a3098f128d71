"""Finds the node at which a backward stopped, from the engine's order and from what was released.

The engine runs, of the nodes that are ready, the one made last; a leaf's AccumulateGrad comes
before all others. Unless the graph is retained, it releases what a node saved as soon as the node
has run. So the nodes that were run are known, and the one that failed has not released its own.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch

from graphlab.observe.graph.walk import LEAF_SEQ, operation, sequence, slot_names
from graphlab.source.objects import class_name, is_a

_native: Any = torch._C
_Function: Any = _native._FunctionBase
# Nodes whose only purpose is to raise: torch puts them where a derivative has none of its own.
RAISERS = ("Error", "NotImplemented")


class Stopped(NamedTuple):
    """Where a backward stopped. `surely` is the node that it cannot have passed, if there is one;
    `maybe` are the nodes before it of which nothing says whether they ran."""

    surely: Any
    maybe: tuple[Any, ...]

    @property
    def all(self) -> tuple[Any, ...]:
        return self.maybe if self.surely is None else (*self.maybe, self.surely)


def stopped_at(nodes: list[Any]) -> Stopped:
    """Where a backward that released what it had run through stopped, in the graph `nodes`."""
    maybe: list[Any] = []
    for node in in_order(nodes):
        if raises(node):
            return Stopped(node, ())
        state = released(node)
        if state is True:
            # All before it have run, as the order is the engine's.
            maybe.clear()
        elif state is False:
            return Stopped(node, tuple(maybe))
        else:
            maybe.append(node)
    return Stopped(None, tuple(maybe))


def raises(node: Any) -> bool:
    """Whether a node can only raise. torch.compile's placeholders are of such a class too, and are
    computed from nothing."""
    return class_name(node) in RAISERS and len(node.next_functions) > 0


def in_order(nodes: list[Any]) -> Iterable[Any]:
    """`nodes` in the order in which the engine runs them."""
    mine = {node: at for at, node in enumerate(nodes)}
    waiting: dict[Any, int] = dict.fromkeys(nodes, 0)
    for node in nodes:
        for child, _ in node.next_functions:
            if child in mine:
                waiting[child] += 1
    ready = [(-_rank(node), at, node) for node, at in mine.items() if not waiting[node]]
    heapq.heapify(ready)
    while ready:
        node = heapq.heappop(ready)[2]
        yield node
        for child, _ in node.next_functions:
            if child in mine:
                waiting[child] -= 1
                if not waiting[child]:
                    heapq.heappush(ready, (-_rank(child), mine[child], child))


def _rank(node: Any) -> int:
    number = sequence(node)
    return LEAF_SEQ if number < 0 else number


def released(node: Any) -> bool | None:
    """Whether what `node` saved is released; None if it saved nothing. No hook of the program's is
    run, as a checkpoint's would compute its whole segment."""
    if is_a(node, _Function):
        try:
            node._raw_saved_tensors  # noqa: B018
        except RuntimeError:
            return True
        except AttributeError:
            return None
        return False
    found = None
    for name in slot_names(node):
        try:
            raw = getattr(node, f"_raw_saved_{name}")
        except RuntimeError:
            return True
        if isinstance(raw, (list, tuple)):
            found = False if raw else found
            continue
        if getattr(raw, "unpack_hook", None) is not None:
            return False
        try:
            if raw.data is not None:
                return False
            getattr(node, f"_saved_{name}")
        except RuntimeError:
            return True
    return found


def named_in(message: str, nodes: Iterable[Any]) -> list[Any]:
    """Those of `nodes` whose operation a message names. It only ever decides between nodes that
    are possible on other grounds."""
    return [node for node in nodes if operation(node) in message]


class Metadata(NamedTuple):
    """What a gradient has to look like."""

    shape: tuple[int, ...]
    dtype: str


def inputs_of(node: Any) -> list[Metadata | None]:
    """For each input of the operation behind `node`, what its gradient has to look like; None for
    one that needs no gradient. Rests on `Node._input_metadata`, private to torch."""
    return [metadata(child, at) if child is not None else None for child, at in node.next_functions]


def metadata(node: Any, at: int) -> Metadata | None:
    """As `inputs_of`, for the output number `at` of the operation behind `node`."""
    try:
        found: Any = node._input_metadata[at]
        return Metadata(tuple(int(n) for n in found.shape), str(found.dtype)[len("torch.") :])
    except Exception:
        return None


def in_threads_of_its_own(nodes: list[Any]) -> bool:
    """Whether the engine runs some of `nodes` in other threads than the caller's: it does for a
    GPU. Rests on `Node._input_metadata`, private to torch."""
    for node in nodes:
        try:
            if any(each.device.type not in ("cpu", "meta") for each in node._input_metadata):
                return True
        except Exception:
            continue
    return False
