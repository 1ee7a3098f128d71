"""Finds the node that turns gradients into zeros, for parameters whose gradient is always zero.

Whether a gradient is zero is read at the steps that are compared by value. Once some have been zero
each time, one backward is run with a hook on each node on the way to them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Set
from dataclasses import replace
from types import FrameType
from typing import Any

import torch

from graphlab.observe.graph.walk import leaf_of, listed, needed, operation, sequence, slots
from graphlab.observe.notes import RawBackward, located
from graphlab.observe.optimizers.vectors import any_nonzero
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import (
    Ref,
    Unnoticed,
    count_of,
    is_tensor,
    readable,
    shape_of,
    storage_key,
)
from graphlab.source.vocabulary import FLAT
from graphlab.trace.sightings import ZeroGradients

# How many steps must have found zeros before the graph is looked at, and before it is said; and how
# many backwards are looked at, of graphs of how many nodes.
ARMED, ENOUGH, LOOKS, LARGEST = 2, 4, 2, 20_000


class ZeroWatch:
    def __init__(self, watched: Watched) -> None:
        self._log, self._files, self._table = watched.log, watched.files, watched.table
        # By identity: (the parameter, steps that were looked at, those with a zero gradient).
        self._known: dict[int, list[Any]] = {}
        self._handles: list[Any] = []
        self._hits: list[tuple[Any, int]] = []
        # The edges over which a gradient that is not zero went.
        self._alive: list[tuple[Any, int]] = []
        # The nodes that only zeros came to.
        self._still: list[Any] = []
        self._nodes: list[Any] = []
        # The leaves of the backward that is looked at, by identity.
        self._leaves: set[int] = set()
        self._looks: Counter[Any] = Counter()
        # The losses in it that compare a value with itself; what they keep is gone when it has run.
        self._same: list[Any] = []
        # Whether the loss of the backward that is looked at is exactly 0.
        self._at_zero = False
        self._found: dict[int, ZeroGradients] = {}
        watched.ledger.on_compared_step.append(self._on_step)

    def _on_step(self, parameters: list[Any], grads: list[Any]) -> None:
        for parameter, grad in zip(parameters, grads, strict=True):
            if grad is None:
                continue
            known = self._known.get(id(parameter))
            if known is None or known[0]() is not parameter:
                known = self._known[id(parameter)] = [Ref(parameter), 0, 0]
                self._found.pop(id(parameter), None)
            known[1] += 1
            # One that was not zero once is not read again.
            if known[2] == known[1] - 1 and not any_nonzero(grad):
                known[2] += 1

    def _always_zero(self, least: int, alive: bool = True) -> dict[int, int]:
        """{identity: steps looked at} of the parameters whose gradient was zero each time."""
        return {
            key: known[1]
            for key, known in self._known.items()
            if known[1] >= least and known[1] == known[2] and (known[0]() is not None or not alive)
        }

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        self.ended(record)
        zero = self._always_zero(ARMED)
        if not zero or record.is_grad or len(nodes) > LARGEST or self._looks[record.spot] >= LOOKS:
            return
        goals = [node for node in nodes if (leaf := leaf_of(node)) is not None and id(leaf) in zero]
        if not goals:
            return
        self._looks[record.spot] += 1
        given = frame.f_locals.get("grad_tensors")
        given = listed(given) if given is not None else []
        if given and all(_read(each) and not any_nonzero(each) for each in given):
            self._given(record, {id(leaf) for node in goals if (leaf := leaf_of(node)) is not None})
            return
        self._leaves = {id(leaf) for node in nodes if (leaf := leaf_of(node)) is not None}
        self._at_zero = any(_is_zero(each) for each in listed(frame.f_locals.get("tensors")))
        self._nodes = needed(nodes, goals)
        self._same = [each for each in self._nodes if _compares_itself(each)]
        for node in self._nodes:
            if leaf_of(node) is None:
                self._handles.append(node.register_hook(self._hook(node)))

    def _hook(self, node: Any) -> Any:
        def look(grad_inputs: Any, grad_outputs: Any) -> None:
            try:
                with Unnoticed():
                    if any(_read(each) and any_nonzero(each) for each in _tuple(grad_outputs)):
                        for at, each in enumerate(_tuple(grad_inputs)):
                            if _read(each) and count_of(each):
                                zero = not any_nonzero(each)
                                (self._hits if zero else self._alive).append((node, at))
                    elif any(map(_read, _tuple(grad_outputs))):
                        self._still.append(node)
            except Exception:
                # In the backward, an exception would be the program's.
                self._hits.clear()
                self._alive.clear()
                self._still.clear()

        return look

    def ended(self, record: RawBackward) -> None:
        """The backward that was looked at has run."""
        if not self._handles:
            return
        handles, self._handles = self._handles, []
        for each in handles:
            each.remove()
        hits, self._hits = self._hits, []
        alive, self._alive = self._alive, []
        still, self._still = self._still, []
        nodes, self._nodes = self._nodes, []
        same, self._same = self._same, []
        zero = self._always_zero(ARMED)
        for node, at in sorted(hits, key=lambda hit: -sequence(hit[0])):
            if at >= len(node.next_functions):
                continue
            kind = _named(node).split("Backward")[0]
            square = kind == "Mul" and len(set(node.next_functions)) == 1
            itself = node in same
            least = square or kind in _LEAST or (self._at_zero and kind not in FLAT)
            if least and not itself:
                # A loss of exactly 0 cannot become less, as of two networks that begin as copies.
                continue
            behind = node.next_functions[at][0]
            if not itself and kind not in FLAT and _only_views(behind, nodes):
                # What the parameter itself is multiplied by was zero, as a first hidden state is.
                continue
            keys = {
                id(leaf) for each in _within(behind, nodes) if (leaf := leaf_of(each)) is not None
            }
            keys &= zero.keys()
            if keys and not any(key in self._found for key in keys):
                whole = itself or not _penalty(node, nodes)
                self._note(record, node, keys, whole, itself=itself)
        if zero.keys().isdisjoint(self._found):
            self._cancelled(record, alive, nodes, zero.keys())
        if zero.keys().isdisjoint(self._found):
            self._cancelled_within(record, alive, still, nodes, zero.keys())

    def _cancelled(
        self, record: RawBackward, alive: list[tuple[Any, int]], nodes: list[Any], zero: Set[int]
    ) -> None:
        """Gradients came on several ways, and their sum is zero: what a difference is of depends on
        the same parameters on both sides. A bias that shifts both alike has that by nature."""
        into: dict[int, list[Any]] = {}
        leaves: dict[int, Any] = {}
        for node, at in alive:
            edge = node.next_functions[at] if at < len(node.next_functions) else (None, 0)
            leaf = leaf_of(edge[0]) if edge[0] is not None else None
            if leaf is not None and id(leaf) in zero:
                into.setdefault(id(leaf), []).append(node)
                leaves[id(leaf)] = leaf
        keys = {key for key, ways in into.items() if len(ways) > 1}
        if not any(len(shape_of(leaves[key])) > 1 for key in keys):
            return
        first = next(key for key in keys if len(shape_of(leaves[key])) > 1)
        self._note_difference(record, into[first], nodes, keys)

    def _cancelled_within(
        self,
        record: RawBackward,
        alive: list[tuple[Any, int]],
        still: list[Any],
        nodes: list[Any],
        zero: Set[int],
    ) -> None:
        """The same at a result on the way: both sides are made of it, as two log-probabilities of
        one distribution are."""
        edges: dict[tuple[Any, int], list[Any]] = {}
        for node, at in alive:
            if at < len(node.next_functions):
                edges.setdefault(node.next_functions[at], []).append(node)
        met = [(edge[0], ways) for edge, ways in edges.items() if len(ways) > 1]
        for behind, ways in sorted(
            (m for m in met if m[0] in still), key=lambda m: -sequence(m[0])
        ):
            leaves = [
                leaf for each in _within(behind, nodes) if (leaf := leaf_of(each)) is not None
            ]
            keys = {id(leaf) for leaf in leaves} & zero
            if any(id(leaf) in keys and len(shape_of(leaf)) > 1 for leaf in leaves):
                self._note_difference(record, ways, nodes, keys)
                return

    def _note_difference(
        self, record: RawBackward, ways: list[Any], nodes: list[Any], keys: set[int]
    ) -> None:
        """Note the node at which several ways part."""
        common = set(nodes)
        for way in ways:
            common &= set(needed(nodes, [way]))
        if common:
            self._note(record, min(common, key=sequence), keys, True, cancelled=True)

    def _given(self, record: RawBackward, keys: set[int]) -> None:
        """The program has handed zeros to the backward itself."""
        at = located(record.spot)
        indices = tuple(self._indices(keys))
        found = ZeroGradients(at, "", indices, 0, record.call, at, whole=True)
        for key in keys - self._found.keys():
            self._found[key] = found

    def _indices(self, keys: set[int]) -> list[int]:
        return sorted(
            index
            for key in keys
            if (parameter := self._known[key][0]()) is not None
            and (index := self._table.place_of(parameter)) is not None
        )

    def _note(
        self,
        record: RawBackward,
        node: Any,
        keys: set[int],
        whole: bool,
        cancelled: bool = False,
        itself: bool = False,
    ) -> None:
        name = _named(node)
        found = ZeroGradients(
            located(self._log.line_of(sequence(node))),
            name,
            tuple(self._indices(keys)),
            0,
            record.call,
            located(record.spot),
            by_weight=name.startswith(("Mul", "Div")),
            # Those that no optimizer holds are not known: a network that is only passed through.
            whole=whole and self._leaves & self._known.keys() <= keys,
            cancelled=cancelled,
            itself=itself,
        )
        for key in keys:
            self._found[key] = found

    def found(self) -> Iterator[ZeroGradients]:
        # The function that has trained them may have returned.
        zero = self._always_zero(ENOUGH, alive=False)
        told: list[ZeroGradients] = []
        for key, each in self._found.items():
            if key in zero and each not in told:
                told.append(each)
                yield replace(each, checks=zero[key])


# Distances, whose slope is 0 where they are 0 and nowhere else.
_LEAST = (
    "MseLoss", "SmoothL1Loss", "HuberLoss", "Abs", "Pow", "Norm", "LinalgVectorNorm", "Cdist",
    "Dist", "PairwiseDistance", "L1Loss",
)  # fmt: skip


def _compares_itself(node: Any) -> bool:
    """Whether a loss of torch's was given the same memory as its prediction and its target, as
    ``target = scores.detach()`` is, whatever was written to it since."""
    if operation(node).split("Backward")[0] not in _LEAST:
        return False
    given = {slot.name: slot.data for slot in slots(node) if is_tensor(slot.data)}
    one, other = given.get("self"), given.get("target")
    return one is not None and other is not None and _extent(one) == _extent(other)


def _extent(tensor: Any) -> tuple[Any, ...]:
    """Where the elements of a tensor lie."""
    methods = torch.Tensor
    place = storage_key(tensor), methods.storage_offset(tensor)
    if place[0] is None:
        # Tensors themselves would be compared element by element.
        return (id(tensor),)
    return (*place, shape_of(tensor), methods.stride(tensor))


def _is_zero(value: Any) -> bool:
    return _read(value) and count_of(value) == 1 and not any_nonzero(value)


def _named(node: Any) -> str:
    """The node's operation; that of a division that rounds is the rounding."""
    rounds = getattr(node, "_saved_rounding_mode", None) if operation(node)[:3] == "Div" else None
    return f"{rounds.capitalize()}Backward0" if rounds else operation(node)


def _tuple(value: Any) -> tuple[Any, ...]:
    return value if type(value) is tuple else (value,)


def _read(value: Any) -> bool:
    return is_tensor(value) and readable(value)


_VIEWS = (
    "AccumulateGrad", "T", "View", "Transpose", "Permute", "Reshape", "ReshapeAlias", "Expand",
    "ToCopy", "Unsqueeze", "Squeeze", "UnsafeView", "Select", "Slice", "Split", "Chunk", "Unbind",
)  # fmt: skip


def _only_views(start: Any, nodes: list[Any]) -> bool:
    """Whether nothing but views lies between `start` and the leaves."""
    return all(operation(each).split("Backward")[0] in _VIEWS for each in _within(start, nodes))


# Nodes between a penalty and the loss that it is a summand of.
_SUMMING = ("Mean", "Sum", "Add", "Sub", "Mul", "Div", "Neg", "View")


def _penalty(node: Any, nodes: list[Any]) -> bool:
    """Whether the value of `node` is only added up, as that of a hinge is. It is zero where there
    is nothing to learn."""
    above = [each for each in needed(nodes, [node]) if each is not node]
    return all(operation(each).split("Backward")[0] in _SUMMING for each in above)


def _within(start: Any, nodes: list[Any]) -> list[Any]:
    """The nodes reachable from `start`, among `nodes`."""
    inside, seen, stack = set(nodes), set(), [start]
    while stack:
        node = stack.pop()
        if node is None or node in seen or node not in inside:
            continue
        seen.add(node)
        stack.extend(parent for parent, _ in node.next_functions)
    return list(seen)
