"""Converts the autograd graph behind some losses to plain data (a trace.graph.Graph).

The walk is iterative and keeps every node alive while it runs. A graph may be read at several
moments of one iteration: what is known of a saved tensor is kept once backward has freed it.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import Any

from graphlab.observe.graph.calls import from_marks, from_parameters
from graphlab.observe.graph.facts import facts_of
from graphlab.observe.graph.saved import Inspector, assigned
from graphlab.observe.graph.walk import (
    LEAF_SEQ,
    Slot,
    fresh_slots,
    grad_edge,
    hold,
    operation,
    sequence,
    slots,
)
from graphlab.observe.names import Names, parameters_of
from graphlab.observe.notes import Log, Problem, RawBackward
from graphlab.observe.tensors import dtype_name, grad_fn_of
from graphlab.source.files import UserFiles
from graphlab.source.objects import class_name
from graphlab.source.places import locate, statement_at
from graphlab.source.wording import written_by
from graphlab.trace.graph import NONE, Graph, Leaf, Optimizer, Root, SavedTensor
from graphlab.trace.model import Location
from graphlab.trace.values import parts

# The type of all nodes of C++ extensions, whose name() differs.
_GENERIC = "CppFunction"


class _Unfrozen:
    """A SavedTensor while its fields are set. The constructor of a frozen dataclass sets each by a
    call, which would take as long as all else that is done for a saved tensor."""

    __slots__ = SavedTensor.__slots__


class _UnfrozenLeaf:
    """As `_Unfrozen`, a Leaf."""

    __slots__ = Leaf.__slots__


class Capture:
    """Several losses' graphs as one: `add` walks, `read` reads the nodes, `graph` is the result.

    `log` is a session's; without one there are no lines and no writers. `optimizer_name` gives the
    name of an optimizer by its index in the log.
    """

    def __init__(self, log: Log | None = None, optimizer_name: Callable[[int], str] = str) -> None:
        self._log = log
        self._optimizer_name = optimizer_name
        self._names_of_types: dict[type, str] = {}
        self._nodes: list[Any] = []
        self._index: dict[Any, int] = {}
        self._operations: list[str] = []
        self._inputs: list[tuple[int, ...]] = []
        self._outputs: dict[int, tuple[int, ...]] = {}
        self._leaves: dict[int, Leaf] = {}
        self._saved: dict[int, tuple[SavedTensor, ...]] = {}
        self._shapes: dict[int, tuple[int, ...]] = {}
        self._dtypes: dict[int, str] = {}
        self._variables: dict[int, str] = {}
        self._storages: dict[int, int] = {}
        self._optimizers: dict[int, tuple[int, Optimizer]] = {}
        self._names: Names | None = None

    def __len__(self) -> int:
        return len(self._nodes)

    def add(self, root: Any) -> int:
        """Add every node reachable from `root`, a grad_fn or None. Returns the root's index."""
        if root is None:
            return NONE
        index = self._index
        if root in index:
            return index[root]
        base = index[root] = len(self._nodes)
        new = [root]
        inputs, operations, names = self._inputs, self._operations, self._names_of_types
        with collection_paused():
            for node in new:
                sources = []
                numbers = None
                for source, output in node.next_functions:
                    if source is None:
                        sources.append(NONE)
                        continue
                    at = index.get(source)
                    if at is None:
                        at = index[source] = base + len(new)
                        new.append(source)
                    if output:
                        numbers = True
                    sources.append(at)
                if numbers:
                    self._outputs[len(inputs)] = tuple(n for _, n in node.next_functions)
                inputs.append(tuple(sources))
                kind = type(node)
                operations.append(names.get(kind) or _operation(kind, node, names))
        self._nodes += new
        return base

    def hold(self, losses: Iterable[Any]) -> None:
        """Keep the nodes of a deep graph alive until these tensors are gone: see walk.hold."""
        hold(self._nodes, losses)

    def read(self, names: Names, details: bool = True) -> None:
        """Read every node as it is now. Without `details`, only leaves and variables."""
        self._names = names
        self._read_leaves(names)
        self._read_variables(names)
        if details:
            inspector = Inspector(self._log or Log(), names)
            inspector.nodes = self._nodes
            with collection_paused():
                for number, node in enumerate(self._nodes):
                    if number not in self._leaves:
                        self._read_shape(number, node)
                        self._read_saved(number, node, inspector)

    def graph(
        self,
        roots: tuple[Root, ...],
        target: str = "",
        iteration: int | None = None,
        notices: tuple[str, ...] = (),
    ) -> Graph:
        """The nodes added so far, as they were last read."""
        names = self._names
        sequences = _sequences(self._nodes)
        graph = Graph(
            tuple(self._operations), tuple(self._inputs), roots,
            tuple([-1 if seq == LEAF_SEQ else seq for seq in sequences]),
            outputs=dict(self._outputs), leaves=dict(self._leaves), saved=dict(self._saved),
            shapes=dict(self._shapes), dtypes=dict(self._dtypes), variables=dict(self._variables),
            optimizers=tuple(each for _, each in self._optimizers.values()),
            target=target, iteration=iteration, notices=notices,
        )  # fmt: skip
        _take_apart(graph)
        if self._log is None:
            if not graph.leaves:
                return graph
            types = names.module_types() if names is not None else {}
            calls, call_of = from_parameters(graph, types)
            return replace(graph, calls=calls, call_of=call_of)
        assert names is not None
        calls, call_of = from_marks(self._log, names, sequences)
        self._place(graph, sequences)
        return replace(graph, calls=calls, call_of=call_of)

    def _place(self, graph: Graph, sequences: list[int]) -> None:
        """The line that made each node, and the variable that the line's last node became."""
        log = self._log
        assert log is not None
        made = sorted((seq, node) for node, seq in enumerate(sequences) if 0 <= seq < LEAF_SEQ)
        after: Any = None
        for seq, node in reversed(made):
            mark = log.mark_of(seq)
            if mark is None or mark.code is None:
                continue
            graph.places[node] = here = locate(mark.code, mark.offset)
            statement = statement_at(here.file, here.line) or (here.file, here.line)
            if statement != after and node not in graph.variables:
                name = assigned(log, seq)
                if name is not None:
                    graph.variables[node] = name
            after = statement

    def _read_leaves(self, names: Names) -> None:
        steps: dict[int, list[int]] = {}
        for optimizer in names.held_optimizers():
            known = self._optimizers.get(id(optimizer))
            if known is None:
                name = names.optimizers[id(optimizer)] or class_name(optimizer).lower()
                known = len(self._optimizers), Optimizer(name, class_name(optimizer))
                self._optimizers[id(optimizer)] = known
            for parameter in parameters_of(optimizer):
                steps.setdefault(id(parameter), []).append(known[0])
        for number, kind in enumerate(self._operations):
            if kind != "AccumulateGrad":
                continue
            tensor = self._nodes[number].variable
            name = names.tensors.get(id(tensor))
            if name is None and number in self._leaves:
                continue
            made: Any = _UnfrozenLeaf()
            made.shape, made.dtype, made.bytes, _, _ = facts_of(tensor)
            if name is not None:
                made.name, made.kind, made.owner = name.name, name.kind, name.owner
            else:
                made.name, made.kind, made.owner = None, "parameter", None
            made.optimizers = tuple(dict.fromkeys(steps.get(id(tensor), ())))
            made.__class__ = Leaf
            self._leaves[number] = made

    def _read_variables(self, names: Names) -> None:
        for pairs in list(names.storages.values()):
            for tensor, named in pairs:
                if named.kind != "activation":
                    continue
                number = self._index.get(grad_fn_of(tensor))
                if number is not None:
                    self._variables[number] = named.name

    def _read_shape(self, number: int, node: Any) -> None:
        if number in self._shapes:
            return
        # Private to torch (`Node._input_metadata`): without it nodes have no shapes.
        for one in getattr(node, "_input_metadata", ()):
            try:
                shape = tuple(one.shape)
                for size in shape:
                    if type(size) is not int:
                        shape = tuple([int(each) for each in shape])
                        break
                self._shapes[number] = shape
                self._dtypes[number] = dtype_name(one.dtype)
                return
            except (AttributeError, RuntimeError, TypeError):
                continue

    def _read_saved(self, number: int, node: Any, inspector: Inspector) -> None:
        log = self._log
        suspect = log is not None and bool(log.silent or log.memory)
        fresh = fresh_slots(node)
        if fresh is not None:
            if fresh and suspect:
                read = [(*each, inspector.problem_of(node, Slot(*each, False))) for each in fresh]
                self._saved[number] = tuple([self._saved_tensor(*each) for each in read])
            elif fresh:
                self._saved[number] = tuple([self._saved_tensor(*each) for each in fresh])
            return
        found = []
        freed_by: RawBackward | None = None
        for slot in slots(node):
            if slot.data is not None:
                problem = inspector.problem_of(node, slot) if slot.stale or suspect else None
                found.append(self._saved_tensor(slot.name, slot.data, problem, slot.stale))
                continue
            if freed_by is None:
                problems = inspector.freed([node])
                freed_by = problems[0].freed_by if problems else None
            before = {each.slot: each for each in self._saved.get(number, ())}
            found.append(_freed(before.get(slot.name), slot.name, freed_by))
        if found:
            self._saved[number] = tuple(found)

    def _saved_tensor(
        self, name: str, tensor: Any, problem: Problem | None = None, stale: bool = False
    ) -> SavedTensor:
        names = self._names
        assert names is not None
        made: Any = _Unfrozen()
        made.slot = name
        made.shape, made.dtype, made.bytes, key, version = facts_of(tensor)
        made.storage = self._storages.setdefault(key, len(self._storages)) if key else None
        made.version = made.saved_version = version
        made.state, made.by, made.at = "fresh", "", None
        named = names.tensors.get(id(tensor))
        if problem is not None:
            made.state = "stale" if stale else "bypassed"
            made.saved_version = problem.saved_version
            made.by, made.at = self._writer(problem)
            named = problem.named or named
        if named is None and key in names.storages:
            known = names.of_tensor(tensor)
            named = known[1] if known is not None else None
        if named is not None:
            made.tensor, made.kind, made.owner = named.name or None, named.kind, named.owner
        else:
            made.tensor, made.kind, made.owner = None, "activation", None
        made.__class__ = SavedTensor
        return made

    def _writer(self, problem: Problem | None) -> tuple[str, Location | None]:
        write = problem.write if problem is not None else None
        if write is None:
            return "", None
        at = locate(*write.spot) if write.spot is not None else None
        if write.optimizer is not None:
            return f"{self._optimizer_name(write.optimizer)}.step()", at
        return written_by(at, write.by, write.direct), at


def capture(
    roots: dict[str, Any],
    frame: FrameType | None,
    details: bool = True,
    session: tuple[Log, Callable[[int], str]] | None = None,
) -> Graph:
    """The graph behind some tensors, given by name. Names are looked up in `frame` and its callers;
    an open `session` (observation.open_log) gives lines and writers."""
    with collection_paused():
        names = Names(UserFiles()).gather(frame)
        taken = Capture(*session) if session is not None else Capture()
        found = tuple(Root(name, taken.add(grad_edge(tensor))) for name, tensor in roots.items())
        taken.read(names, details)
        graph = taken.graph(found)
        taken.hold(roots.values())
    return graph


def _take_apart(graph: Graph) -> None:
    """Tell what several optimizers train by parts in these parts."""
    named = {
        leaf.name: (leaf.owner, frozenset(leaf.optimizers))
        for leaf in graph.leaves.values()
        if leaf.name is not None and leaf.owner is not None
    }
    owners = parts(named)
    changed = {name for name, owner in owners.items() if named[name][0] != owner}
    if not changed:
        return
    for node, leaf in graph.leaves.items():
        if leaf.name in changed:
            graph.leaves[node] = replace(leaf, owner=owners[leaf.name])
    for node, saved in graph.saved.items():
        if any(each.tensor in changed for each in saved):
            graph.saved[node] = tuple(
                replace(each, owner=owners.get(each.tensor or "", each.owner)) for each in saved
            )


def _sequences(nodes: list[Any]) -> list[int]:
    try:
        return [node._sequence_nr() for node in nodes]
    except AttributeError:
        return [sequence(node) for node in nodes]


def _freed(before: SavedTensor | None, slot: str, freed_by: RawBackward | None) -> SavedTensor:
    at = locate(*freed_by.spot) if freed_by is not None and freed_by.spot is not None else None
    by = freed_by.call if freed_by is not None else ""
    old = before if before is not None else SavedTensor(slot, "freed")
    return replace(old, state="freed", version=None, by=by or old.by, at=at or old.at)


def _operation(kind: type, node: Any, known: dict[type, str]) -> str:
    if kind.__name__ == _GENERIC:
        return operation(node)
    name = known[kind] = kind.__name__
    return name


@contextmanager
def collection_paused() -> Iterator[None]:
    """Without garbage collection, which every few hundred new tuples would trigger: it makes a
    walk of a long chain take several times as long, and there is no garbage."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
