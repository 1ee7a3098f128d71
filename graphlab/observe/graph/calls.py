"""Tells which module call made each node: from the session's marks, or from parameters alone."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence

from graphlab.observe.graph.walk import LEAF_SEQ
from graphlab.observe.names import Names
from graphlab.observe.notes import Log
from graphlab.source.objects import class_name
from graphlab.source.places import locate
from graphlab.trace.graph import NONE, Call, Graph, Leaf

Calls = tuple[tuple[Call, ...], dict[int, int]]


def from_marks(log: Log, names: Names, sequences: Sequence[int]) -> Calls:
    """Replay the marks that enter and leave modules, for nodes of these sequence numbers."""
    made = [(seq, node) for node, seq in enumerate(sequences) if 0 <= seq < LEAF_SEQ]
    if not made or log.no_counter or not log.marks:
        return (), {}
    marks = log.marks
    start = max(0, bisect_left(marks, min(made)[0], key=lambda mark: mark[0]) - 1)
    # Outside every module the stack is known to be empty.
    while start > 0 and marks[start][3] is not None:
        start -= 1
    calls: list[Call] = []
    counts: dict[int, int] = {}
    stack: list[tuple[int, int]] = []
    begins: list[int] = []
    running: list[int] = []
    for seq, code, offset, module in marks[start:]:
        if module is None:
            stack.clear()
        elif not stack or stack[-1][0] != module:
            depth = next((at for at, each in enumerate(stack) if each[0] == module), None)
            if depth is not None:
                # Back from a call inside it. (A module that calls itself counts as one call.)
                del stack[depth + 1 :]
            else:
                kind = _type(log, module)
                counts[module] = counts.get(module, 0) + 1
                at = locate(code, offset) if code is not None else None
                parent = stack[-1][1] if stack else NONE
                name = names.modules.get(module, kind)
                calls.append(Call(name, kind, counts[module], parent, at))
                stack.append((module, len(calls) - 1))
        begins.append(seq)
        running.append(stack[-1][1] if stack else NONE)
    found = {}
    for seq, node in made:
        at = bisect_right(begins, seq) - 1
        if at >= 0 and running[at] != NONE:
            found[node] = running[at]
    return _used(calls, found)


def _type(log: Log, module: int) -> str:
    known = log.modules.get(module)
    alive = known() if known is not None else None
    return class_name(alive) if alive is not None else "module"


def _used(calls: list[Call], call_of: dict[int, int]) -> Calls:
    """Only the calls that made some node, and the calls around those."""
    kept: set[int] = set()
    for call in call_of.values():
        while call != NONE and call not in kept:
            kept.add(call)
            call = calls[call].parent
    place = {NONE: NONE}
    rest = []
    for old in sorted(kept):
        place[old] = len(rest)
        call = calls[old]
        rest.append(Call(call.module, call.type, call.number, place[call.parent], call.at))
    return tuple(rest), {node: place[call] for node, call in call_of.items()}


def from_parameters(graph: Graph, types: Mapping[str, str]) -> Calls:
    """Without a session: a node belongs to the module whose parameters it uses, and what lies
    between two such nodes of one network belongs to that network. `types` maps a module's name
    to its class."""
    consumers = graph.consumers()
    order = graph.order()
    modules = _users(graph, order)
    owners = {node: module.partition(".")[0] for node, module in modules.items()}
    networks: dict[str, list[int]] = {}
    for node, owner in owners.items():
        networks.setdefault(owner, []).append(node)
    for owner, mine in networks.items():
        below = _spread(mine, graph.inputs)
        for node in below & _spread(mine, consumers):
            if node not in graph.leaves:
                owners.setdefault(node, owner)
    calls: list[Call] = []
    call_of: dict[int, int] = {}
    counts: dict[str, int] = {}
    inputs = graph.inputs
    for first in reversed(order):
        if first not in owners or first in call_of:
            continue
        owner = owners[first]
        counts[owner] = counts.get(owner, 0) + 1
        top = len(calls)
        calls.append(Call(owner, types.get(owner, "module"), counts[owner]))
        inner: dict[str, int] = {}
        stack = [first]
        while stack:
            node = stack.pop()
            # (NONE has no owner.)
            if node in call_of or owners.get(node) != owner:
                continue
            module = modules.get(node, owner)
            if module != owner and module not in inner:
                inner[module] = len(calls)
                calls.append(Call(module, types.get(module, "module"), counts[owner], top))
            call_of[node] = inner.get(module, top)
            stack += inputs[node]
            stack += consumers[node]
    return tuple(calls), call_of


def _users(graph: Graph, order: list[int]) -> dict[int, str]:
    """The nodes that use a parameter, directly or through views of it, and whose it is."""
    found: dict[int, str] = {}
    only = {node: module for node, leaf in graph.leaves.items() if (module := _module(leaf))}
    known, inputs, leaves = only.keys(), graph.inputs, graph.leaves
    for node in reversed(order):
        sources = inputs[node]
        if node in leaves or known.isdisjoint(sources):
            continue
        used = [only[each] for each in sources if each in only]
        found[node] = used[0]
        if len(used) == len(sources) - sources.count(NONE) == 1:
            only[node] = used[0]
    return found


def _module(leaf: Leaf) -> str:
    return leaf.name.rpartition(".")[0] if leaf.name and leaf.kind == "parameter" else ""


def _spread(start: list[int], neighbours: Sequence[Sequence[int]]) -> set[int]:
    """The nodes to which `neighbours`, of each node, lead from `start`."""
    seen = {NONE, *start}
    stack = list(start)
    while stack:
        for each in neighbours[stack.pop()]:
            if each not in seen:
                seen.add(each)
                stack.append(each)
    seen.remove(NONE)
    return seen
