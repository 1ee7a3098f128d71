"""Develops what the camera shot into a Film: places, names and plain numbers."""

from __future__ import annotations

import ast
import linecache
from bisect import bisect_left
from dataclasses import replace

from graphlab.observe.build_trace import Assembler
from graphlab.observe.film.recorder import Shot, State, Take
from graphlab.observe.film.snapshots import Snapshot
from graphlab.observe.notes import RawBackward
from graphlab.source.files import UserFiles
from graphlab.source.places import locate, statement_at
from graphlab.trace.film import Change, Film, Moment, NodesRun
from graphlab.trace.graph import Graph
from graphlab.trace.model import Location


def develop(
    take: Take, snapshot: Snapshot | None, names: list[str], assembler: Assembler, files: UserFiles
) -> Film:
    """The film of one take. `names` are the optimizers', by their place."""
    shots = _joined(take.shots)
    raws = [raw for shot in shots for raw in shot.events]
    events, places = assembler.events(raws, names, ())
    graph = snapshot.graph if snapshot is not None else None
    moments = []
    for shot in shots:
        positions = [at for raw in shot.events for at in places[id(raw)]]
        moments.append(
            Moment(shot.seq, _place(shot), tuple(positions), _changes(shot.changes), shot.resumed)
        )
    iterations = [raw.iteration for raw in raws if isinstance(raw, RawBackward)]
    found = {moment.at.file for moment in moments}
    return Film(
        iteration=next((each for each in iterations if each is not None), None),
        tensors=assembler.table.tensors,
        optimizers=tuple(names),
        before=_changes(take.before),
        events=events,
        moments=tuple(moments),
        passages=_passages(graph, take, raws, places) if graph is not None else (),
        sources={name: "".join(linecache.getlines(name)) for name in sorted(found)},
        left_out=take.left_out,
        graph=graph,
    )


def _changes(states: dict[int, State]) -> tuple[Change, ...]:
    return tuple(Change(place, *state) for place, state in states.items())


def _place(shot: Shot) -> Location:
    """The line, and where one event alone happened at it, the part of it that did it."""
    here = locate(shot.code, shot.offset if not shot.resumed else ~shot.offset)
    statement = statement_at(here.file, here.line)
    if statement is not None and not hasattr(statement, "body"):
        return replace(here, end_line=max(here.line, statement.end_lineno or here.line))
    return here


def _joined(shots: list[Shot]) -> list[Shot]:
    """A statement over several lines is one shot, and a call that came back to a line at which
    nothing more happened is none."""
    found: list[Shot] = []
    for at, shot in enumerate(shots):
        after = shots[at + 1].seq if at + 1 < len(shots) else shot.seq
        idle = not shot.events and not shot.changes and after == shot.seq
        if shot.resumed and idle:
            continue
        if found and shot.line != found[-1].line and _same_statement(found[-1], shot):
            last = found[-1]
            last.events.extend(shot.events)
            last.changes.update(shot.changes)
            continue
        found.append(replace(shot, events=list(shot.events), changes=dict(shot.changes)))
    return found


def _same_statement(one: Shot, other: Shot) -> bool:
    file = one.code.co_filename
    if one.code is not other.code or one.resumed != other.resumed:
        return False
    statement = statement_at(file, one.line)
    if statement is None or statement is not statement_at(file, other.line):
        return False
    return not isinstance(statement, ast.For | ast.While | ast.If | ast.With | ast.Try | ast.Match)


def _passages(
    graph: Graph, take: Take, raws: list[object], places: dict[int, tuple[int, ...]]
) -> tuple[NodesRun, ...]:
    """The graph's nodes that each finished backward ran through, where that was noted."""
    numbers = sorted((seq, node) for node, seq in enumerate(graph.sequences) if seq >= 0)
    keys = [seq for seq, _ in numbers]
    found = []
    for raw in raws:
        if not isinstance(raw, RawBackward) or not raw.completed:
            continue
        covered = take.covered.get(id(raw))
        if covered is None:
            continue
        nodes = []
        for seq in sorted(covered):
            index = bisect_left(keys, seq)
            if index < len(keys) and keys[index] == seq:
                nodes.append(numbers[index][1])
        found.append(NodesRun(places[id(raw)][0], tuple(nodes)))
    return tuple(found)
