"""Turns a recorded iteration into a Film: source lines, names and plain numbers."""

from __future__ import annotations

import ast
import linecache
from bisect import bisect_left
from dataclasses import replace

from graphlab.observe.build_trace import TraceBuilder
from graphlab.observe.film.recorder import FilmedIteration, LineEntry, TrackedState
from graphlab.observe.film.snapshots import Snapshot
from graphlab.observe.notes import RawBackward
from graphlab.observe.optimizers.registry import OptimizerRegistry
from graphlab.source.files import UserFiles
from graphlab.source.places import locate, statement_at
from graphlab.trace.film import Change, Film, Moment, NodesRun, StaleGradient
from graphlab.trace.graph import Graph
from graphlab.trace.model import Location
from graphlab.trace.values import by_parts


def build_film(
    filmed: FilmedIteration,
    snapshot: Snapshot | None,
    registry: OptimizerRegistry,
    builder: TraceBuilder,
    files: UserFiles,
) -> Film:
    """The film of one iteration, with the graph of `snapshot` if there is one. `registry` knows the
    optimizers."""
    names = [registry.name_of(at) for at in range(len(registry.states))]
    entries = _joined(filmed.entries)
    raws = [raw for entry in entries for raw in entry.events]
    events, places = builder.events(raws, names, ())
    graph = snapshot.graph if snapshot is not None else None
    moments = []
    for entry in entries:
        positions = [at for raw in entry.events for at in places[id(raw)]]
        moments.append(
            Moment(
                entry.seq, _place(entry), tuple(positions), _changes(entry.changes), entry.resumed
            )
        )
    iterations = [raw.iteration for raw in raws if isinstance(raw, RawBackward)]
    found = {moment.at.file for moment in moments}
    return Film(
        iteration=next((each for each in iterations if each is not None), None),
        tensors=by_parts(builder.table.tensors, [each.owns for each in registry.states]),
        optimizers=tuple(names),
        before=_changes(filmed.before),
        events=events,
        moments=tuple(moments),
        gradients=_gradients(filmed, raws, places, builder),
        passages=_passages(graph, filmed, raws, places) if graph is not None else (),
        sources={name: "".join(linecache.getlines(name)) for name in sorted(found)},
        left_out=filmed.left_out,
        graph=graph,
    )


def _gradients(
    filmed: FilmedIteration,
    raws: list[object],
    places: dict[int, tuple[int, ...]],
    builder: TraceBuilder,
) -> tuple[StaleGradient, ...]:
    return tuple(
        StaleGradient(
            places[id(raw)][0], builder.table.tensor_index(pair.leaf, None), pair.right, pair.stale
        )
        for raw in raws
        for pair in filmed.gradients.get(id(raw), ())
    )


def _changes(states: dict[int, TrackedState]) -> tuple[Change, ...]:
    return tuple(Change(place, *state) for place, state in states.items())


def _place(entry: LineEntry) -> Location:
    """The source line of an entry, to the end of its statement unless that has a body."""
    here = locate(entry.code, entry.offset if not entry.resumed else ~entry.offset)
    statement = statement_at(here.file, here.line)
    if statement is not None and not hasattr(statement, "body"):
        return replace(here, end_line=max(here.line, statement.end_lineno or here.line))
    return here


def _joined(entries: list[LineEntry]) -> list[LineEntry]:
    """Join the lines of one statement, and drop returns to a line that then did nothing."""
    found: list[LineEntry] = []
    for at, entry in enumerate(entries):
        after = entries[at + 1].seq if at + 1 < len(entries) else entry.seq
        idle = not entry.events and not entry.changes and after == entry.seq
        if entry.resumed and idle:
            continue
        if found and entry.line != found[-1].line and _same_statement(found[-1], entry):
            last = found[-1]
            last.events.extend(entry.events)
            last.changes.update(entry.changes)
            continue
        found.append(replace(entry, events=list(entry.events), changes=dict(entry.changes)))
    return found


def _same_statement(one: LineEntry, other: LineEntry) -> bool:
    file = one.code.co_filename
    if one.code is not other.code or one.resumed != other.resumed:
        return False
    statement = statement_at(file, one.line)
    if statement is None or statement is not statement_at(file, other.line):
        return False
    return not isinstance(statement, ast.For | ast.While | ast.If | ast.With | ast.Try | ast.Match)


def _passages(
    graph: Graph, filmed: FilmedIteration, raws: list[object], places: dict[int, tuple[int, ...]]
) -> tuple[NodesRun, ...]:
    """The graph's nodes that each finished backward ran through, where that was noted."""
    numbers = sorted((seq, node) for node, seq in enumerate(graph.sequences) if seq >= 0)
    keys = [seq for seq, _ in numbers]
    found = []
    for raw in raws:
        if not isinstance(raw, RawBackward) or not raw.completed:
            continue
        covered = filmed.covered.get(id(raw))
        if covered is None:
            continue
        nodes = []
        for seq in sorted(covered):
            index = bisect_left(keys, seq)
            if index < len(keys) and keys[index] == seq:
                nodes.append(numbers[index][1])
        found.append(NodesRun(places[id(raw)][0], tuple(nodes)))
    return tuple(found)
