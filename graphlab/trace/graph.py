"""The autograd graph as plain data, and its JSON (`graphlab.graph/1`).

It is stored in columns with one entry a node, because a graph may have a million nodes and most of
them have only an operation and inputs. What only some nodes have, such as saved tensors or a line
of the user's code, is in dictionaries by node number. Needs the standard library only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple

from graphlab.trace.checked import DocumentError, PositionIn, build, of_schema, parse, sizes_of
from graphlab.trace.store import plain, text_of
from graphlab.trace.values import Count, Kind, Location, OptimizerAt, Shape

SCHEMA = "graphlab.graph/1"
# Stands for the node of an input that needs no gradient.
NONE = -1

# Calls nested deeper than this cannot come from a run: Python's recursion limit is lower.
DEEPEST = 300

MaybeNode = Annotated[int, PositionIn("nodes", or_none=True)]
CallAt = Annotated[int, PositionIn("calls")]
MaybeCall = Annotated[int, PositionIn("calls", or_none=True)]
State = Literal["fresh", "stale", "freed", "bypassed"]


class Edge(NamedTuple):
    """Input `slot` of `node` is output number `output` of `source`."""

    node: int
    slot: int
    source: int
    output: int


@dataclass(frozen=True, slots=True)
class SavedTensor:
    """A tensor that a node saved for backward, when it was saved and now.

    state: *stale* was written, and torch raises for it; *freed* is no longer there; *bypassed* was
    written without its version counter noticing. storage: equal numbers share memory. bytes: the
    tensor's own size. by, at: what wrote or freed it, and where.
    """

    slot: str
    state: State
    shape: Shape = ()
    dtype: str = ""
    bytes: Count = 0
    storage: int | None = None
    saved_version: int | None = None
    version: int | None = None
    tensor: str | None = None
    kind: Kind = "activation"
    owner: str | None = None
    by: str = ""
    at: Location | None = None


@dataclass(frozen=True, slots=True)
class Leaf:
    """The tensor of an AccumulateGrad node; `optimizers` are indices into `Graph.optimizers`."""

    name: str | None
    shape: Shape
    dtype: str
    bytes: Count
    kind: Kind = "parameter"
    owner: str | None = None
    optimizers: tuple[OptimizerAt, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a module; `number` counts its calls from 1, `parent` is the call around it."""

    module: str
    type: str
    number: int
    parent: MaybeCall = NONE
    at: Location | None = None


@dataclass(frozen=True, slots=True)
class Root:
    """A loss, where a backward starts. `node` is NONE if the loss has no graph, and `cut` is then
    the line that detached it; `call` is the backward as written, empty if there was none."""

    name: str
    node: MaybeNode
    call: str = ""
    at: Location | None = None
    raised: str | None = None
    cut: Location | None = None


@dataclass(frozen=True, slots=True)
class Optimizer:
    """An optimizer that steps leaves of the graph."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Graph:
    """An autograd graph. Nodes are numbered by a walk from the roots, so every run of the same
    program gives the same numbers. ``inputs[n]`` has one node a slot, or NONE.
    """

    operations: tuple[str, ...]
    inputs: tuple[tuple[int, ...], ...]
    roots: tuple[Root, ...] = ()
    sequences: tuple[int, ...] = ()
    # For each input of a node, which output of that input it is; only nodes where one is not 0.
    outputs: dict[int, tuple[int, ...]] = field(default_factory=dict)
    leaves: dict[int, Leaf] = field(default_factory=dict)
    saved: dict[int, tuple[SavedTensor, ...]] = field(default_factory=dict)
    # The forward result that each node belongs to.
    shapes: dict[int, tuple[int, ...]] = field(default_factory=dict)
    dtypes: dict[int, str] = field(default_factory=dict)
    variables: dict[int, str] = field(default_factory=dict)
    places: dict[int, Location] = field(default_factory=dict)
    calls: tuple[Call, ...] = ()
    call_of: dict[int, int] = field(default_factory=dict)
    optimizers: tuple[Optimizer, ...] = ()
    target: str = ""
    iteration: int | None = None
    notices: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.operations)

    def edges(self) -> Iterator[Edge]:
        outputs = self.outputs
        for node, sources in enumerate(self.inputs):
            numbers = outputs.get(node)
            for slot, source in enumerate(sources):
                if source != NONE:
                    yield Edge(node, slot, source, numbers[slot] if numbers else 0)

    def consumers(self) -> list[list[int]]:
        """For every node, the nodes that use it as an input."""
        found: list[list[int]] = [[] for _ in self.operations]
        for node, sources in enumerate(self.inputs):
            for source in sources:
                if source != NONE:
                    found[source].append(node)
        return found

    def order(self) -> list[int]:
        """All nodes in topological order, losses first, leaves last; fewer if there is a cycle."""
        waiting = [0] * len(self)
        for sources in self.inputs:
            for source in sources:
                if source != NONE:
                    waiting[source] += 1
        ready = [node for node, count in enumerate(waiting) if count == 0]
        for node in ready:
            for source in self.inputs[node]:
                if source != NONE:
                    waiting[source] -= 1
                    if waiting[source] == 0:
                        ready.append(source)
        return ready

    def reached_by(self, root: int) -> set[int]:
        """The nodes that a backward from `root` can run."""
        if root == NONE:
            return set()
        seen = {root}
        stack = [root]
        while stack:
            for source in self.inputs[stack.pop()]:
                if source != NONE and source not in seen:
                    seen.add(source)
                    stack.append(source)
        return seen

    def callers(self, node: int) -> tuple[int, ...]:
        """The module calls around a node, outermost first."""
        found = []
        call = self.call_of.get(node, NONE)
        while call != NONE:
            found.append(call)
            call = self.calls[call].parent
        return tuple(reversed(found))


def under(graph: Graph, roots: tuple[Root, ...]) -> Graph:
    """The subgraph that `roots` reach, its nodes renumbered in the same order."""
    kept = sorted(set().union(*(graph.reached_by(root.node) for root in roots)))
    place = {NONE: NONE, **{old: new for new, old in enumerate(kept)}}
    columns = {
        name: {place[old]: value for old, value in getattr(graph, name).items() if old in place}
        for name in _SPARSE.values()
    }
    return dataclasses.replace(
        graph,
        operations=tuple(graph.operations[old] for old in kept),
        inputs=tuple(tuple(place[each] for each in graph.inputs[old]) for old in kept),
        sequences=tuple(graph.sequences[old] for old in kept) if graph.sequences else (),
        roots=tuple(dataclasses.replace(root, node=place[root.node]) for root in roots),
        **columns,
    )


@dataclass(frozen=True, slots=True)
class _Node:
    """The JSON object of a node: its entry in each column."""

    operation: str
    inputs: tuple[MaybeNode, ...]
    sequence: int | None = None
    outputs: tuple[Count, ...] | None = None
    leaf: Leaf | None = None
    saved: tuple[SavedTensor, ...] | None = None
    shape: Shape | None = None
    dtype: str | None = None
    variable: str | None = None
    at: Location | None = None
    call: CallAt | None = None


@dataclass(frozen=True, slots=True)
class _Document:
    """The JSON object of a graph."""

    nodes: tuple[_Node, ...]
    roots: tuple[Root, ...] = ()
    calls: tuple[Call, ...] = ()
    optimizers: tuple[Optimizer, ...] = ()
    target: str = ""
    iteration: int | None = None
    notices: tuple[str, ...] = ()


# The columns that only some nodes have, by their field in a node's JSON.
_SPARSE = {
    "outputs": "outputs", "leaf": "leaves", "saved": "saved", "shape": "shapes",
    "dtype": "dtypes", "variable": "variables", "at": "places", "call": "call_of",
}  # fmt: skip
_WHOLE = ("roots", "calls", "optimizers", "target", "iteration", "notices")


def dumps(graph: Graph) -> str:
    """The graph as the text of a JSON document."""
    return text_of(document(graph))


def document(graph: Graph) -> dict[str, Any]:
    """The graph as JSON values; a node's object has only the fields that the node has."""
    columns = [(key, getattr(graph, name)) for key, name in _SPARSE.items()]
    nodes = []
    for number, operation in enumerate(graph.operations):
        node: dict[str, Any] = {"operation": operation, "inputs": list(graph.inputs[number])}
        if graph.sequences:
            node["sequence"] = graph.sequences[number]
        for key, column in columns:
            if number in column:
                node[key] = _without_defaults(column[number])
        nodes.append(node)
    rest = {name: _without_defaults(getattr(graph, name)) for name in _WHOLE}
    return {"schema": SCHEMA, **rest, "nodes": nodes}


def loads(text: str) -> Graph:
    """The Graph that `dumps` wrote.

    Raises:
        ValueError: `text` is not such a document; the message names the place that is wrong.
    """
    return read(parse(text))


def read(data: Any) -> Graph:
    """The Graph in a parsed document.

    Raises:
        ValueError: as for `loads`.
    """
    sizes = sizes_of(of_schema(data, SCHEMA), "nodes", "calls", "optimizers")
    known = build(_Document, data, sizes)
    columns: dict[str, Any] = {name: {} for name in _SPARSE.values()}
    for number, node in enumerate(known.nodes):
        for key, name in _SPARSE.items():
            value = getattr(node, key)
            if value is not None:
                columns[name][number] = value
    sequences = tuple(node.sequence for node in known.nodes if node.sequence is not None)
    graph = Graph(
        operations=tuple(node.operation for node in known.nodes),
        inputs=tuple(node.inputs for node in known.nodes),
        sequences=sequences,
        **columns,
        **{name: getattr(known, name) for name in _WHOLE},
    )
    _check(graph)
    return graph


def _check(graph: Graph) -> None:
    """Check what type hints cannot express.

    Raises:
        DocumentError: no program can have such a graph.
    """
    if graph.sequences and len(graph.sequences) != len(graph):
        raise DocumentError("some nodes have a sequence and some have none").under(".nodes")
    for node, numbers in graph.outputs.items():
        if len(numbers) != len(graph.inputs[node]):
            raise DocumentError("there is not one for each input").under(f".nodes[{node}].outputs")
    if len(graph.order()) != len(graph):
        raise DocumentError("some node leads back to itself").under(".nodes")
    depths: list[int] = []
    for at, call in enumerate(graph.calls):
        if call.parent >= at:
            raise DocumentError("a call cannot begin before the one around it").under(
                f".calls[{at}]"
            )
        depths.append(depths[call.parent] + 1 if call.parent != NONE else 1)
        if depths[at] > DEEPEST:
            raise DocumentError("calls are nested too deeply").under(f".calls[{at}]")


def _without_defaults(value: Any) -> Any:
    """`value` as plain data, without the fields that hold their default."""
    if isinstance(value, tuple):
        return [_without_defaults(each) for each in value]
    if not dataclasses.is_dataclass(value):
        return value
    return {
        f.name: plain(getattr(value, f.name))
        for f in dataclasses.fields(value)
        if getattr(value, f.name) != f.default
    }
