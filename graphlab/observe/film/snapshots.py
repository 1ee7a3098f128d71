"""Captures a run's graphs at its backward calls: one graph an iteration, of all its losses."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from graphlab.observe.film.recorder import FilmedIteration, Recorder
from graphlab.observe.graph.capture import Capture
from graphlab.observe.graph.walk import grad_edge, listed
from graphlab.observe.iterations import Iterations
from graphlab.observe.names import Names
from graphlab.observe.notes import Log, RawBackward, Spot
from graphlab.observe.tensors import count_of, is_tensor, requires_grad
from graphlab.source.files import UserFiles, user_frame
from graphlab.source.places import locate
from graphlab.trace.graph import Graph, Root

# Iterations whose graphs are taken as they run; of a later one only where its backward raises.
FIRST = 6
# How many graphs are kept besides the first ones.
RECENT = 2


@dataclass(slots=True)
class _Loss:
    """One backward of the iteration. `edges` keep its graph alive as long as the iteration."""

    record: RawBackward
    edges: list[Any]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The graph of one iteration's losses, as it was before the last of `calls` ran.

    `also` is the result of `Snapshots.also`; `filmed` has the lines of the iteration if they were
    recorded."""

    graph: Graph
    calls: tuple[str, ...]
    iterations: frozenset[int | None]
    failed: bool
    also: Any = None
    filmed: FilmedIteration | None = None


@dataclass(slots=True)
class Snapshots:
    """`at` (an iteration) and `before` (a backward call) choose one moment; without them the first
    iterations are captured.

    A backward call begins a new iteration if this one has run it already, or if the loop around it
    has advanced. (The loops of two calls may differ: ``for …: for …: D.backward()``, then
    ``G.backward()``.)
    """

    log: Log
    files: UserFiles
    iterations: Iterations
    target: str
    optimizer_name: Callable[[int], str]
    at: int | None = None
    before: str | None = None
    # Called with (loss, {name: parameter}) at each capture.
    also: Callable[[Any, dict[str, Any]], Any] | None = None
    recorder: Recorder | None = None
    taken: list[Snapshot] = field(default_factory=list)
    # Every backward call seen, to suggest one for a misspelt --before.
    calls: dict[str, None] = field(default_factory=dict)
    _kept: bool = False
    _turns: dict[Any, int | None] = field(default_factory=dict)
    _losses: list[_Loss] = field(default_factory=list)
    _capture: Capture | None = None
    _count: int = 0
    _latest: Snapshot | None = None
    _also: Any = None

    def keep(
        self,
        at: int | None,
        before: str | None,
        also: Callable[[Any, dict[str, Any]], Any] | None,
    ) -> None:
        """Capture graphs from now on."""
        self.at, self.before, self.also = at, before, also
        self._kept = True

    def films(self) -> list[tuple[Snapshot | None, FilmedIteration]]:
        """The recorded iterations that were kept, with their graphs, and always the last one."""
        if self.recorder is None:
            return []
        self.close()
        found: list[tuple[Snapshot | None, FilmedIteration]] = [
            (each, each.filmed) for each in self.taken if each.filmed is not None
        ]
        last = self.recorder.filmed
        if all(filmed is not last for _, filmed in found):
            found.append((None, last))
        return found

    def begin(self, record: RawBackward, values: Mapping[str, Any], frame: FrameType) -> None:
        """A backward is about to run; `values` are its arguments."""
        if not self._kept or (record.is_grad and values.get("create_graph")):
            # Such as a gradient penalty's: its graph is part of the loss's.
            return
        spots: list[Spot | None] = [loss.record.spot for loss in self._losses]
        loop, turn = self.iterations.place(user_frame(frame.f_back, self.files))
        if record.spot in spots or self._turns.get(loop, turn) != turn or not self._losses:
            self.close()
            self._losses, self._capture, self._turns = [], None, {}
            self._count += 1
            if self.recorder is not None:
                self.recorder.begin_iteration(loop)
        self._turns[loop] = turn
        self.calls.setdefault(record.call)
        roots = values.get("outputs" if record.is_grad else "tensors")
        edges = [grad_edge(each) for each in listed(roots)]
        self._losses.append(_Loss(record, edges))
        if self.recorder is not None and record.covered is not None:
            # Copied now: only the last few records keep it (backward_calls.REMEMBER).
            self.recorder.filmed.covered[id(record)] = record.covered
        if self.recorder is not None:
            self.recorder.look_at_gradients(record, values)
        if self._wanted(record):
            self._capture_now(frame)
            if self._asked(record):
                self.close()

    def alarmed(self, frame: FrameType) -> None:
        """The loss of the backward that began last is not finite."""
        if self._kept and self._losses and self._capture is None and self.at is self.before is None:
            self._capture_now(frame)

    def raised(self, record: RawBackward, frame: FrameType) -> None:
        """The backward that began last has raised."""
        if not self._kept or not self._losses or self._losses[-1].record is not record:
            return
        if self._capture is None:
            asked = self.at is not None or self.before is not None
            if not asked or self._wanted(record):
                self._capture_now(frame)
        elif self._latest is not None:
            self._latest = self._made()
        self.close()

    def close(self) -> None:
        """The iteration has ended: keep its last snapshot."""
        if self._latest is None:
            return
        self.taken.append(self._latest)
        self._latest = None
        if len(self.taken) > FIRST + RECENT:
            del self.taken[FIRST]

    def final(self, variables: dict[str, Any], wanted: Collection[str] = ()) -> None:
        """The program has ended: capture the graphs of losses without a backward, those named in
        `wanted`, or every scalar among `variables` that requires grad."""
        self.close()
        self._losses, self._capture = [], None
        found = {
            name: value
            for name, value in variables.items()
            if is_tensor(value)
            and (name in wanted if wanted else count_of(value) == 1 and requires_grad(value))
            and not name.startswith("__")
        }
        if not found:
            return
        capture = Capture(self.log, self.optimizer_name)
        roots = tuple(Root(name, capture.add(grad_edge(each))) for name, each in found.items())
        names = Names(self.files).gather_from(variables)
        capture.read(names)
        capture.hold(found.values())
        graph = capture.graph(roots, self.target)
        self.taken.append(Snapshot(graph, (), frozenset(), False, self._also_of(found, names)))

    def _wanted(self, record: RawBackward) -> bool:
        if self.before is not None:
            return not self.taken and self._asked(record)
        if self._capture is not None:
            return True
        if self.at is not None:
            return record.iteration == self.at
        # `nodes` is not counted where there are too many.
        return self._count <= FIRST and record.nodes is not None

    def _asked(self, record: RawBackward) -> bool:
        return record.call == self.before and self.at in (None, record.iteration)

    def _capture_now(self, frame: FrameType) -> None:
        if self._capture is None:
            self._capture = Capture(self.log, self.optimizer_name)
        for loss in self._losses:
            for edge in loss.edges:
                self._capture.add(edge)
        names = Names(self.files).gather(frame)
        self._capture.read(names)
        values = frame.f_locals
        losses = listed(values.get("tensors", values.get("outputs")))
        self._capture.hold(losses)
        self._also = self._also_of({str(at): each for at, each in enumerate(losses)}, names)
        self._latest = self._made()

    def _also_of(self, losses: dict[str, Any], names: Names) -> Any:
        if self.also is None or not losses:
            return None
        parameters = {
            named.name: tensor
            for pairs in names.storages.values()
            for tensor, named in pairs
            if named.kind == "parameter"
        }
        return self.also(next(iter(losses.values())), parameters)

    def _made(self) -> Snapshot:
        assert self._capture is not None
        roots = []
        for loss in self._losses:
            record = loss.record
            at = locate(*record.spot) if record.spot is not None else None
            cut = record.cut.location() if record.cut is not None else None
            roots += [
                Root(record.loss, self._capture.add(edge), record.call, at, record.raised_type, cut)
                for edge in loss.edges
            ]
        last = self._losses[-1].record
        graph = self._capture.graph(tuple(roots), self.target, last.iteration)
        return Snapshot(
            graph,
            tuple(loss.record.call for loss in self._losses),
            frozenset(loss.record.iteration for loss in self._losses),
            last.raised_type is not None,
            self._also,
            self.recorder.filmed if self.recorder is not None else None,
        )
