"""Finds graphs that a program keeps alive and that grow with each iteration."""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterator
from itertools import islice, pairwise
from types import FrameType, FunctionType, ModuleType, NoneType
from typing import Any

from graphlab.observe.graph.walk import hold, sequence, walk
from graphlab.observe.names import FOREIGN, Names, submodules
from graphlab.observe.notes import RawBackward, Spot
from graphlab.observe.tensors import base_of, grad_fn_of, is_module, is_tensor, is_view
from graphlab.source.effects.origins import stores_behind
from graphlab.source.effects.stores import Store, stores
from graphlab.source.files import UserFiles, installed, user_frame, user_frames
from graphlab.source.objects import (
    attributes,
    class_module,
    is_a,
    items,
    static,
    variables,
)
from graphlab.source.places import locate, parse
from graphlab.trace.model import Growing, Location

# So many inspected backwards in a row must each find a larger graph.
ENOUGH = 5


# A dict with more entries than this is not searched.
WIDEST = 64


# A kept graph is measured up to this many nodes.
LARGEST = 50_000


# Of a longer list, such as a replay buffer of a million entries, the newest ones are looked at.
NEWEST = 1_024


# After so many inspected backwards at a line, a graph that is not known to grow does not.
PATIENCE = 12


# The types, by identity, of what holds no graph: asking a type itself might run its metaclass.
_PLAIN = frozenset(map(id, (FunctionType, NoneType, bool, int, float, str)))


class GrowingGraphs:
    """`found` has the graphs that grew `ENOUGH` times in a row, between inspected backwards, by
    the call and the line that keeps them."""

    def __init__(self, files: UserFiles) -> None:
        self._files = files
        self._losses: dict[Spot, list[tuple[int, int, int]]] = {}
        # (size, sequence number of the oldest node) of each variable's graph, by inspection.
        self._kept: dict[tuple[Spot, str], list[tuple[int, int]]] = {}
        # In which frame each of them was met.
        self._homes: dict[str, FrameType] = {}
        self.found: dict[tuple[Spot, str], Growing] = {}
        # The sequence number of the oldest node behind a kept variable that was told of, and those
        # that a backward went back through after all.
        self._roots: dict[tuple[Spot, str], int] = {}
        self._used: set[tuple[Spot, str]] = set()
        self._settled: set[Spot] = set()

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Note the sizes of the graphs at an inspected backward."""
        if self._roots:
            self._withdraw(nodes)
        spot = record.spot
        user = user_frame(frame, self._files)
        if spot is None or user is None or spot in self._settled:
            return
        try:
            self._inspect(record, spot, nodes, user, frame)
        finally:
            self._homes.clear()

    def _withdraw(self, nodes: list[Any]) -> None:
        """A list was kept for this backward: the terms of an episode's loss, say, beside a critic
        that is trained at each of its steps."""
        reached = {sequence(node) for node in nodes}
        for key in [key for key, oldest in self._roots.items() if oldest in reached]:
            del self._roots[key], self.found[key]
            self._used.add(key)

    def _inspect(
        self, record: RawBackward, spot: Spot, nodes: list[Any], user: FrameType, frame: FrameType
    ) -> None:
        oldest = min((sequence(node) for node in nodes), default=0)
        history = self._losses.setdefault(spot, [])
        history.append((len(nodes), oldest, record.seq))
        sizes = tuple(size for size, _, _ in history[-ENOUGH:])
        # Nodes older than the `ENOUGH`th last inspected backward were carried over from before it.
        since = history[-ENOUGH][2] if len(history) >= ENOUGH else 0
        carried = oldest < since
        # A graph that is made anew and only larger each time (longer sequences) does not count.
        kept = {
            name: tuple(size for size, _ in measured)
            for name, measured in self._measure(frame, spot).items()
            if measured[-1][1] < since
        }
        growing = [name for name in kept if _grows(kept[name])]
        if carried and _grows(sizes):
            names = [name for name in growing if name != record.loss]
            self._report(record, spot, _carrier(names, user), sizes, True)
            self._settled.add(spot)
            return
        for name in growing:
            self._report(record, spot, name, kept[name], False)
            if (spot, name) in self.found:
                self._roots.setdefault((spot, name), self._kept[(spot, name)][-1][1])
        if self.found and len(history) >= PATIENCE:
            self._settled.add(spot)

    def _measure(self, frame: FrameType, spot: Spot) -> dict[str, tuple[tuple[int, int], ...]]:
        """Sizes, over the inspected backwards, of the graphs behind the frames' variables."""
        now: dict[str, tuple[int, int]] = {}
        seen: set[int] = set()
        holders = [*_variables(frame, self._files), *in_libraries(frame, self._files)]
        for where, label, each in parts_of(holders):
            tensors, others = held_in(each)
            edges = [n for t in tensors if (n := node_behind(t)) is not None]
            if edges and label not in now and id(each) not in seen:
                # What two names stand for is told by the nearer one.
                seen.add(id(each))
                self._homes[label] = where
                nodes = walk(edges[-64:])
                hold(nodes, tensors)
                oldest = min(sequence(node) for node in (*nodes, edges[0]))
                now[label] = len(nodes) + len(edges) + others, oldest
        for name in [key[1] for key in self._kept if key[0] == spot and key[1] not in now]:
            del self._kept[(spot, name)]
        for name, (size, oldest) in now.items():
            if size <= LARGEST:
                before = self._kept.setdefault((spot, name), [])
                # What is kept once an epoch stays as it is through the backwards of the next one.
                before += [(size, oldest)] if before[-1:] != [(size, oldest)] else []
        return {
            name: tuple(self._kept[(spot, name)][-ENOUGH:])
            for name in now
            if (spot, name) in self._kept
        }

    def _report(
        self,
        record: RawBackward,
        spot: Spot,
        name: str | None,
        sizes: tuple[int, ...],
        behind_loss: bool,
    ) -> None:
        home = self._homes.get(name) if name is not None else None
        key = spot, (name if name is not None and not behind_loss else "")
        if key in self.found or key in self._used:
            return
        self.found[key] = Growing(
            name=name or record.loss,
            sizes=sizes,
            call=record.call,
            at=locate(*spot),
            kept_at=keeping_line(name, home, self._files) if name and home else None,
            behind_loss=behind_loss,
            iteration=record.iteration,
        )


# A frame, a variable of it, and the value of that.
Held = tuple[FrameType, str, Any]


def _variables(frame: FrameType | None, files: UserFiles) -> Iterator[Held]:
    """What the user's frames hold, the innermost first."""
    for each in user_frames(frame, files):
        for name, value in variables(each.f_locals).items():
            if id(type(value)) not in _PLAIN:
                yield each, name, value


def in_libraries(frame: FrameType | None, files: UserFiles) -> Iterator[Held]:
    """The modules of the user's own classes that the frames of libraries hold."""
    names = Names(files)
    while frame is not None:
        if frame.f_code not in files:
            for name, value in variables(frame.f_locals).items():
                if is_module(value) and names.is_users(type(value)):
                    yield frame, name, value
        frame = frame.f_back


def parts_of(held: list[Held]) -> list[Held]:
    """The parts of what frames hold. What only a private attribute leads to comes last."""
    found = [
        (where, label, each) for where, name, value in held for label, each in parts(name, value)
    ]
    return sorted(found, key=lambda each: "._" in each[1])


def held_in(value: Any) -> tuple[list[Any], int]:
    """The tensors that a variable holds: itself, or what is in a list or a deque, and in the tuples
    and dictionaries there, as in a replay buffer; and how many entries were not looked at."""
    if not is_a(value, (list, deque)):
        return ([value] if is_tensor(value) else []), 0
    kind = list if is_a(value, list) else deque
    newest = list(islice(kind.__reversed__(value), NEWEST))
    found: list[Any] = []
    for each in reversed(newest):
        if type(each) is tuple:
            inner = each[:16]
        else:
            inner = [one for _, one in items(each, 16)] if is_a(each, (tuple, dict)) else [each]
        found += [one for one in inner if id(type(one)) not in _PLAIN and is_tensor(one)]
    return found, max(0, kind.__len__(value) - NEWEST)


def node_behind(tensor: Any) -> Any:
    """The node behind a tensor, or behind the base of a view. A view's own grad_fn is not read: if
    its base was written since, torch would make a new node for it, earlier than the program does,
    which changes the order of accumulation."""
    return grad_fn_of(base_of(tensor) if is_view(tensor) else tensor)


def _grows(sizes: tuple[int, ...]) -> bool:
    return len(sizes) >= ENOUGH and all(b > a for a, b in pairwise(sizes))


def parts(name: str, value: Any, depth: int = 0) -> list[tuple[str, Any]]:
    """(name, value) of a variable, and of its items or attributes, two levels deep, if its class is
    the user's."""
    found = [(name, value)]
    if is_a(value, (type, ModuleType)):
        return found
    if type(value) is dict and len(value) <= WIDEST:
        found += [(f"{name}[{key!r}]", each) for key, each in items(value)]
    elif is_module(value):
        for path, each in submodules(value):
            for key, item in list(attributes(each).items()):
                # A linear layer's `in_features` holds no graph, and most attributes are such.
                if id(type(item)) not in _PLAIN and not key.startswith("_"):
                    label = ".".join(filter(None, (name, path, key)))
                    found += [(label, item)] if is_module(item) else parts(label, item, depth + 1)
            for key, item in items(attributes(each).get("_buffers")):
                if is_tensor(item):
                    found.append((".".join(filter(None, (name, path, str(key)))), item))
    elif depth < 2 and not class_module(value).startswith(FOREIGN):
        for key, each in list(attributes(value).items()):
            # What a library's mapping keeps in a dictionary is written as its own entries.
            own = key.startswith("_") and type(each) is dict and _is_mapping(value)
            found += parts(name if own else f"{name}.{key}", each, depth + 1)[own:]
    return found


def _is_mapping(value: Any) -> bool:
    """Whether a library's object, such as a TensorDict, has entries."""
    kind = type(value)
    getter, names = static(kind, "__getitem__"), static(kind, "keys")
    return installed(_file_of(getter)) and type(names) is FunctionType


def _file_of(function: Any) -> str:
    return function.__code__.co_filename if type(function) is FunctionType else ""


def _carrier(names: list[str], frame: FrameType) -> str | None:
    """The variable most likely to carry the graph over: an attribute, or one that a statement
    computes from itself."""
    tree = parse(frame.f_code.co_filename)
    if tree is None or not names:
        return names[0] if names else None
    ranked = sorted(names, key=lambda n: (_self_fed(tree, n), "." in n), reverse=True)
    return ranked[0]


def _self_fed(tree: ast.Module, name: str) -> bool:
    last = name.rsplit(".", 1)[-1]
    return any(_feeds_itself(each, last) for each in ast.walk(tree))


def _feeds_itself(node: ast.AST, last: str) -> bool:
    if isinstance(node, ast.AugAssign):
        return ast.unparse(node.target).rsplit(".", 1)[-1] == last
    if isinstance(node, ast.Assign):
        targets = [t for target in node.targets for t in getattr(target, "elts", [target])]
        if any(ast.unparse(t).rsplit(".", 1)[-1] == last for t in targets):
            read = [n for n in ast.walk(node.value) if isinstance(n, ast.Name | ast.Attribute)]
            return any(ast.unparse(n).rsplit(".", 1)[-1] == last for n in read)
    return False


def keeping_line(name: str, home: FrameType, files: UserFiles) -> Location | None:
    """The statement that keeps a graph in what the frame `home` calls `name`: one that feeds on
    itself, else one that adds to it, else any but those that start it afresh."""
    found = stores_behind(name, home, files) or [
        each
        for each in stores(home.f_code.co_filename)
        if each.name == name.rsplit(".", 1)[-1].partition("[")[0]
    ]
    ranked = [(_rank(each), at) for at, each in enumerate(found)]
    best = max(ranked, default=(0, 0))
    return found[best[1]].at if best[0] else None


def _rank(store: Store) -> int:
    if _feeds_itself(store.node, store.name):
        return 3
    if store.adds:
        return 2
    plain = store.value is None or not any(
        isinstance(each, ast.Name) for each in ast.walk(store.value)
    )
    return 0 if plain else 1
