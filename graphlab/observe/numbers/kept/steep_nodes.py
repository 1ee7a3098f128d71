"""Keeps, of the last backwards, what nodes saved at whose values a derivative may not be finite.

A root at 0 is finite and its slope is not. Once a backward has run, its graph is freed: which of
its nodes made a gradient that is not finite can then be told only by what was kept. So the few
nodes of such kinds are looked up in each graph before it runs, and what they saved is held a while.
Where in the graph they stand is learned once for each line and number of nodes.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from graphlab.observe.graph.walk import saved_number, sequence, slot_names
from graphlab.observe.notes import RawBackward
from graphlab.observe.numbers.derivatives import steep
from graphlab.observe.numbers.finite import counts, in_memory
from graphlab.observe.numbers.recompute import kind_of_node
from graphlab.observe.tensors import grad_fn_of, is_tensor, shape_of, version_of

# Of the kinds whose derivative is infinite or NaN wherever the values are such, whatever gradient
# comes in: what they saved, and whether their result is finite there.
_KINDS = {
    "Sqrt": ("result", True), "Rsqrt": ("result", False), "Pow": ("self", True),
    "Log": ("self", False), "Log2": ("self", False), "Log10": ("self", False),
    "Log1p": ("self", False), "Exp": ("result", False), "Div": ("other", False),
    "Reciprocal": ("result", False), "Acos": ("self", True), "Asin": ("self", True),
    "Acosh": ("self", True), "Atanh": ("self", False), "LinalgEigh": ("eigenvalues", True),
    "LinalgSvd": ("S", True), "Hypot": ("result", True), "Angle": ("self", True),
    "Xlogy": ("other", True), "Logaddexp": ("self", False), "Logaddexp2": ("self", False),
    "Logsumexp": ("result", False),
}  # fmt: skip
# What is read of these as well: only together with that the values are such.
_ALSO = {"Xlogy": "self", "Logaddexp": "other", "Logaddexp2": "other"}
# Which outputs of a decomposition are vectors: those alone have no slope.
_VECTORS = {"LinalgEigh": (1,), "LinalgSvd": (0, 2)}
# What hides a number from a loss, and what hands a gradient on as it is. Where others come
# between an operation and what hides its result, one of them may have failed before it.
_HIDES = {
    "Where", "MaskedFill", "MaskedSelect", "Index", "IndexSelect", "Gather", "Select", "Slice",
    "Clamp", "ClampMin", "ClampMax", "Minimum", "Maximum", "Atan", "Sigmoid", "Tanh", "Erf",
}  # fmt: skip
_HANDS_ON = {
    "Neg", "Add", "Sub", "Rsub", "Sum", "Mean", "View", "UnsafeView", "ReshapeAlias", "Squeeze",
    "Unsqueeze", "Expand", "T", "Transpose", "Permute", "Clone", "Alias", "ToCopy", "Abs", "Relu",
}  # fmt: skip
# A sum of exponentials takes one that is -inf, and is such a node itself where all are.
_SUMS = {"Logaddexp", "Logaddexp2", "Logsumexp"}
_HANDS_ON_TO_SUMS = _HANDS_ON | _SUMS | {"Cat", "Stack"}
# How many nodes a graph may have, how many are looked up in it, how many graphs are known, how many
# backwards are remembered, and how many values are held: of one tensor, and of all.
NODES, LOOKED_UP, PLANS, BACKWARDS, ONE, ALL = 5_000, 64, 64, 16, 1 << 20, 1 << 22
# A graph is learned anew so often, and then once in so many backwards.
LEARNED, EVERY = 8, 16


class Kept(NamedTuple):
    """A tensor that a node saved, and its version as `record` began. sequence, kind: the node's;
    finite: whether its result is where the derivative is not. also: another one, that goes with
    it."""

    record: RawBackward
    sequence: int
    kind: str
    slot: str
    value: Any
    version: int
    finite: bool
    also: tuple[Any, int] | None = None

    @property
    def sums(self) -> bool:
        """Whether it is no mask that hides its result, but a sum of exponentials."""
        return self.kind in _SUMS

    def said(self) -> str:
        """Which of its values have no finite slope, in words; "" where all do, or where it was
        written since."""
        both = [(self.value, self.version), *([self.also] if self.also is not None else [])]
        if any(version_of(value) != version for value, version in both):
            return ""
        saved = {self.slot: self.value}
        if self.also is not None:
            saved[_ALSO[self.kind]] = self.also[0]
        if self.kind == "Xlogy" and not _meet(saved["self"], saved["other"]):
            return ""
        return steep(self.kind, saved)


def _meet(first: Any, second: Any) -> bool:
    """Whether both are 0 at all the places where `second` is."""
    return bool((first == 0)[second == 0].all()) if first.shape == second.shape else False


class _Look(NamedTuple):
    """Where a node is among those that were visited, and what to read of it."""

    at: int
    type: type
    kind: str
    slot: str
    finite: bool


class _Plan(NamedTuple):
    """steps: the nodes to visit, each by the place of the one that leads to it and the number of
    its edge."""

    steps: tuple[tuple[int, int], ...] = ()
    looks: tuple[_Look, ...] = ()


_NOTHING: list[Kept] = []


class SteepNodes:
    def __init__(self) -> None:
        # By line and by how many nodes had been made since the backward before; and the last of
        # each line.
        self._plans: dict[tuple[Any, int], _Plan] = {}
        self._latest: dict[Any, _Plan] = {}
        self._kept: deque[tuple[RawBackward, list[Kept]]] = deque()
        self._held = self._learned = self._seen = self._last = 0

    def begins(self, record: RawBackward, loss: Any) -> None:
        """A backward is about to run, from its only loss."""
        made, self._last = record.seq - self._last, record.seq
        self._seen += 1
        plan = self._plans.get((record.line, made))
        if plan is None:
            plan = self._learn(record, loss, made) or self._latest.get(record.line)
        kept: list[Kept] | None = None
        # Python makes an object for a node, which most plans can do without.
        if plan is not None and plan.looks and (root := grad_fn_of(loss)) is not None:
            kept = _read(plan, record, root)
            if kept is None:
                plan = self._learn(record, loss, made)
                kept = _read(plan, record, root) if plan is not None else None
        self._hold(record, kept or _NOTHING)

    def _learn(self, record: RawBackward, loss: Any, made: int) -> _Plan | None:
        if self._learned > LEARNED + self._seen // EVERY or (root := grad_fn_of(loss)) is None:
            return None
        self._learned += 1
        if len(self._plans) >= PLANS:
            del self._plans[next(iter(self._plans))]
        plan = self._plans[record.line, made] = self._latest[record.line] = _plan(root)
        return plan

    def _hold(self, record: RawBackward, kept: list[Kept]) -> None:
        held = self._kept
        held.append((record, kept))
        if kept is not _NOTHING:
            self._held += sum(in_memory(each.value) for each in kept)
        while len(held) > BACKWARDS or self._held > ALL:
            gone = held.popleft()[1]
            if gone is not _NOTHING:
                self._held -= sum(in_memory(each.value) for each in gone)

    def alike(self, kept: Kept) -> list[int]:
        """The numbers of the nodes of the same kind that were looked up in the same graph."""
        held = next(each for record, each in self._kept if record is kept.record)
        return [each.sequence for each in held if each.kind == kept.kind]

    def first(self, records: list[RawBackward]) -> Kept | None:
        """The first node whose derivative was not finite in these backwards, which are in the order
        in which they ran; None where that is not known."""
        held = {id(record): kept for record, kept in self._kept}
        for record in records:
            if id(record) not in held:
                return None
            found = [each for each in held[id(record)] if each.said()]
            if found:
                # The latest node runs first.
                return max(found, key=lambda each: each.sequence)
        return None


def _plan(root: Any) -> _Plan:
    order, place = [root], {root: 0}
    came: list[tuple[int, int]] = [(0, 0)]
    users: dict[Any, list[tuple[Any, int]]] = {}
    for at, node in enumerate(order):
        for edge, (parent, number) in enumerate(node.next_functions):
            if parent is None:
                continue
            users.setdefault(parent, []).append((node, number))
            if parent not in place:
                place[parent] = len(order)
                order.append(parent)
                came.append((at, edge))
        if len(order) > NODES:
            return _Plan()
    looks: list[_Look] = []
    for at, node in enumerate(order):
        kind = kind_of_node(node)
        if kind not in _KINDS or len(looks) == LOOKED_UP:
            continue
        slot, finite = _KINDS[kind]
        if slot not in slot_names(node) or (kind == "Pow" and not _below_one(node)):
            continue
        if kind == "Xlogy" and node.next_functions[1][0] is None:
            continue
        if _first_to_fail(node, kind, finite, users):
            looks.append(_Look(at, type(node), kind, slot, finite))
    needed = {0}
    for look in looks:
        at = look.at
        while at not in needed:
            needed.add(at)
            at = came[at][0]
    # The root is the first of those visited, and each comes after the one that leads to it.
    visited = {at: new for new, at in enumerate(sorted(needed))}
    steps = tuple((visited[came[at][0]], came[at][1]) for at in sorted(needed) if at)
    return _Plan(steps, tuple(look._replace(at=visited[look.at]) for look in looks))


def _below_one(node: Any) -> bool:
    """Whether it is a power that is finite at 0 and whose slope is not."""
    exponent = saved_number(node, "exponent")
    return type(exponent) in (int, float) and 0 < exponent < 1


def _first_to_fail(
    node: Any, kind: str, finite: bool, users: dict[Any, list[tuple[Any, int]]]
) -> bool:
    """Whether no node that runs before `node` in a backward can have met its values."""
    if kind in _VECTORS:
        return any(number in _VECTORS[kind] for _, number in users.get(node, ()))
    if finite:
        return True
    handing = _HANDS_ON_TO_SUMS if kind in _SUMS else _HANDS_ON
    stack, seen = [node], {node}
    while stack:
        for user, _ in users.get(stack.pop(), ()):
            known = kind_of_node(user)
            if known in _HIDES or user in seen:
                continue
            if known not in handing and not _by_number(user, known):
                return False
            seen.add(user)
            stack.append(user)
    return True


def _by_number(node: Any, kind: str) -> bool:
    """Whether it only multiplies or divides by a number, as ``1 / x`` does after its reciprocal."""
    edges = node.next_functions
    if (
        kind not in ("Mul", "Div")
        or len(edges) != 2
        or (edges[0][0] is None) == (edges[1][0] is None)
    ):
        return False
    slot = "other" if edges[1][0] is None else "self"
    if slot not in slot_names(node) or (kind == "Div" and slot == "self"):
        return False
    value = _saved(node, slot)
    return is_tensor(value) and len(shape_of(value)) == 0


def _saved(node: Any, slot: str) -> Any:
    """Private to torch, as in graph/walk.py."""
    raw: Any = getattr(node, f"_raw_saved_{slot}")
    return raw.data if raw.unpack_hook is None else None


def _read(plan: _Plan, record: RawBackward, root: Any) -> list[Kept] | None:
    """What is to be kept of the graph of `root`; None if it is another than the plan's."""
    nodes, kept = [root], []
    try:
        for at, edge in plan.steps:
            nodes.append(nodes[at].next_functions[edge][0])
        for look in plan.looks:
            node = nodes[look.at]
            if type(node) is not look.type:
                return None
            if look.kind == "Pow" and not _below_one(node):
                continue
            value, also = _saved(node, look.slot), None
            if counts(value) and in_memory(value) <= ONE:
                if look.kind in _ALSO:
                    other = _saved(node, _ALSO[look.kind])
                    if not counts(other) or in_memory(other) > ONE:
                        continue
                    also = other.detach(), version_of(other)
                number, version = sequence(node), version_of(value)
                found = record, number, look.kind, look.slot, value.detach(), version, look.finite
                kept.append(Kept(*found, also))
    except (AttributeError, IndexError, RuntimeError):
        return None
    return kept
