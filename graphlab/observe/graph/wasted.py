"""Measures the part of a graph that only served gradients which were thrown away.

Before a backward runs, while the graph is whole, its nodes are grouped by the optimizers whose
parameters they lead to. Which gradients were thrown away is known later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from graphlab.observe.graph.saved import assigned
from graphlab.observe.graph.walk import LEAF_SEQ, leaf_of, sequence, slots
from graphlab.observe.notes import Crossing, GraphParts, Log, RawBackward
from graphlab.observe.tensors import byte_span, bytes_of, storage_key
from graphlab.source.places import locate
from graphlab.trace.model import Waste

# Stands for leaves that no optimizer holds: they may be used otherwise, so are never waste.
NO_OPTIMIZER = -1


# How many nodes are searched for a variable's name.
LOOK = 50


def parts_by_optimizer(
    nodes: list[Any], optimizers_of: Callable[[Any], Iterable[int]], log: Log
) -> GraphParts:
    """Group `nodes` by where they lead. `optimizers_of` gives the indices of the optimizers that
    hold a leaf."""
    leads: dict[Any, frozenset[int]] = {}
    for node in _leaves_first(nodes):
        leaf = leaf_of(node)
        found: set[int] = set()
        if leaf is not None:
            found.update(optimizers_of(leaf) or (NO_OPTIMIZER,))
        for parent, _ in node.next_functions:
            found |= leads.get(parent, frozenset())
        leads[node] = frozenset(found)
    counts: dict[frozenset[int], int] = {}
    for node in nodes:
        counts[leads[node]] = counts.get(leads[node], 0) + 1
    return GraphParts(counts, _saved(nodes, leads), tuple(_crossings(nodes, leads, log)))


def _leaves_first(nodes: list[Any]) -> Iterator[Any]:
    """Every node after those that it leads to."""
    inside, done = set(nodes), set()
    stack = [(node, False) for node in nodes]
    while stack:
        node, seen = stack.pop()
        if node in done:
            continue
        if seen:
            done.add(node)
            yield node
            continue
        stack.append((node, True))
        for parent, _ in node.next_functions:
            if parent in inside and parent not in done:
                stack.append((parent, False))


def _saved(nodes: list[Any], leads: dict[Any, frozenset[int]]) -> dict[frozenset[int], int]:
    """Bytes of the tensors that the nodes saved, by group. A tensor that several nodes saved counts
    for all of them together; parameters do not count."""
    leaves = {storage_key(leaf) for node in nodes if (leaf := leaf_of(node)) is not None}
    sizes: dict[tuple[int, int, int], int] = {}
    users: dict[tuple[int, int, int], frozenset[int]] = {}
    for node in nodes:
        for slot in slots(node):
            tensor = slot.data
            if tensor is None or (key := storage_key(tensor)) is None or key in leaves:
                continue
            place = (key, *byte_span(tensor))
            sizes[place] = bytes_of(tensor)
            users[place] = users.get(place, frozenset()) | leads[node]
    found: dict[frozenset[int], int] = {}
    for place, size in sizes.items():
        found[users[place]] = found.get(users[place], 0) + size
    return found


def _crossings(nodes: list[Any], leads: dict[Any, frozenset[int]], log: Log) -> Iterable[Crossing]:
    """The latest node that leads to a group alone, where one that leads to more uses it."""
    latest: dict[frozenset[int], tuple[int, int]] = {}
    for node in nodes:
        for parent, _ in node.next_functions:
            if parent not in leads or leads[parent] == leads[node]:
                continue
            age = sequence(parent)
            group = leads[parent]
            if age != LEAF_SEQ and age > latest.get(group, (-1, -1))[0]:
                latest[group] = age, sequence(node)
    for group, (_, used) in latest.items():
        mark = log.mark_of(used)
        spot = (mark.code, mark.offset) if mark is not None and mark.code is not None else None
        yield Crossing(group, used, spot, _variable(nodes, leads, group, log))


def _variable(
    nodes: list[Any], leads: dict[Any, frozenset[int]], group: frozenset[int], log: Log
) -> str | None:
    """The last variable that a line made of nothing but what leads to `group`."""
    ages = (sequence(node) for node in nodes if leads[node] == group)
    young = sorted((age for age in ages if age != LEAF_SEQ), reverse=True)
    return next((name for age in young[:LOOK] if (name := assigned(log, age)) is not None), None)


def wasted(record: RawBackward, owns: Sequence[Iterable[int]]) -> Waste | None:
    """The part of a backward that only served gradients which were thrown away. `owns` has the
    indices of each optimizer's parameters. None if there is no such part, and if every gradient was
    thrown away: then the program has probably read them itself."""
    found, lost = record.parts, set(record.thrown)
    if found is None or not set(record.reached) - lost:
        return None
    mine = {at: set(record.reached) & set(places) for at, places in enumerate(owns)}
    groups = {at for at, places in mine.items() if places and places <= lost}
    only = [each for each in found.nodes if each and each <= groups]
    saved = sum(found.saved.get(each, 0) for each in only)
    if not saved:
        return None
    crossing = max(
        (each for each in found.crossings if each.group in only),
        key=lambda each: each.seq,
        default=None,
    )
    return Waste(
        tensors=tuple(sorted(lost)),
        nodes=sum(found.nodes[each] for each in only),
        of_nodes=sum(found.nodes.values()),
        saved=saved,
        of_saved=sum(found.saved.values()),
        at=locate(*crossing.spot) if crossing is not None and crossing.spot else None,
        variable=crossing.variable if crossing is not None else None,
        cleared=locate(*record.thrown_at) if record.thrown_at is not None else None,
    )
