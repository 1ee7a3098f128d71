"""Finds the first call by which ranks that communicated in the same order came apart."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import lru_cache

from graphlab.source.places import nodes_in
from graphlab.trace.model import Trace
from graphlab.trace.ranks.joint import Joint
from graphlab.trace.ranks.sightings import PAIRWISE, Exchange, Exchanged
from graphlab.trace.values import Location

_SENDING, _RECEIVING = ("send", "isend"), ("recv", "irecv")
_JOINS = ("join", "Join")
_Statement = ast.For | ast.AsyncFor | ast.While
# A loop: its file, and its first line.
Loop = tuple[str, int]
# By the line of a call that communicated, the program's lines that led to it, outermost first.
Ways = dict[tuple[str, int] | None, tuple[Location, ...]]


@dataclass(frozen=True, slots=True)
class FirstDifference:
    """The calls of the ranks that were the first to differ; None of a rank that made no more.
    earlier: of each rank, those before. final: whether some rank made hardly any after it."""

    calls: dict[int, Exchange | None]
    earlier: dict[int, list[Exchange]]
    final: bool

    @property
    def same_line(self) -> bool:
        return len({_place(each) for each in self.calls.values()}) == 1


def first_difference(joint: Joint) -> FirstDifference | None:
    """Where the orders of the ranks' calls differ, as far as both are known."""
    orders: dict[int, list[Exchange]] = {}
    begins: dict[int, int] = {}
    for rank, trace in joint.traces.items():
        seen = next((each for each in trace.sightings if isinstance(each, Exchanged)), None)
        if seen is None:
            return None
        orders[rank] = [seen.calls[at] for at in seen.order]
        begins[rank] = seen.before
    if any(each.operation in PAIRWISE for order in orders.values() for each in order):
        # Those of two ranks are in no order with what all do.
        return None
    first = max(begins.values())
    known = {rank: order[first - begins[rank] :] for rank, order in orders.items()}
    longest = max(map(len, known.values()))

    def at(index: int) -> dict[int, Exchange | None]:
        return {r: each[index] if index < len(each) else None for r, each in known.items()}

    found = next((i for i in range(longest) if len({*map(_what, at(i).values())}) > 1), None)
    if found is None:
        return None
    while found and len({*map(_place, at(found - 1).values())}) > 1:
        # Other lines that happened to call the same.
        found -= 1
    shortest = min(map(len, known.values()))
    before = {rank: order[:found] for rank, order in known.items()}
    return FirstDifference(at(found), before, shortest - found <= 2)


def counterparts(joint: Joint) -> set[tuple[str, int]]:
    """The lines whose calls all met the same call of other ranks in a line of their own, which the
    ranks that ran the one never ran: each has its part in what all do, as who trains and who
    generates have. None where the orders are not known from the first call on."""
    orders: dict[int, list[Exchange]] = {}
    for rank, trace in joint.traces.items():
        seen = next((each for each in trace.sightings if isinstance(each, Exchanged)), None)
        if seen is None or seen.before:
            return set()
        orders[rank] = [seen.calls[at] for at in seen.order]
    shortest = min(map(len, orders.values()))
    met = next(
        (i for i in range(shortest) if len({_what(each[i]) for each in orders.values()}) > 1),
        shortest,
    )
    ran = {rank: {_place(each) for each in order} for rank, order in orders.items()}
    found: set[tuple[str, int]] = set()
    other: set[tuple[str, int] | None] = set()
    for rank, order in orders.items():
        for index, call in enumerate(order):
            place = _place(call)
            partners = {_place(each[index]) for each in orders.values()} if index < met else set()
            mine = {each for each in partners if each in ran[rank]}
            if len(partners) > 1 and mine == {place} and place is not None:
                found.add(place)
            else:
                other.add(place)
    return found - {each for each in other if each is not None}


def waits_for_each_other(joint: Joint, stops: dict[int, Location]) -> dict[int, Exchange] | None:
    """Two ranks of which each was cut off as it sent to the other, or received from it, with these
    calls."""
    last = _last_calls(joint, stops)
    for rank, call in last.items():
        peer = call.peer
        if peer is None or peer not in last:
            continue
        other = last[peer]
        if other.peer == rank and other.operation == call.operation:
            return {rank: call, peer: other}
    return None


def crossed(joint: Joint, stops: dict[int, Location]) -> dict[int, Exchange] | None:
    """A rank that was cut off as it waited for one other, and this other, in what all ranks do,
    before it would have come to the counterpart; with these calls."""
    last = _last_calls(joint, stops)
    for rank, call in last.items():
        ahead = last.get(call.peer) if call.peer is not None else None
        if ahead is None or call.peer is None or ahead.operation in PAIRWISE:
            continue
        counterpart = _RECEIVING if "send" in call.operation else _SENDING
        if any(_comes_to(joint.traces[call.peer], at, counterpart) for at in ahead.lines):
            return {rank: call, call.peer: ahead}
    return None


def _last_calls(joint: Joint, stops: dict[int, Location]) -> dict[int, Exchange]:
    """Of each rank that was cut off in a call that communicates, this call."""
    last: dict[int, Exchange] = {}
    for rank, trace in joint.traces.items():
        for each in trace.sightings:
            if isinstance(each, Exchanged) and each.order:
                call = each.calls[each.order[-1]]
                stop = stops.get(rank)
                if stop is not None and _place(call) == (stop.file, stop.line):
                    last[rank] = call
    return last


def _comes_to(trace: Trace, at: Location, names: tuple[str, ...]) -> bool:
    """Whether the function that `at` is in calls one of these later, or in a loop around it."""
    try:
        tree = ast.parse(trace.sources.get(at.file, ""))
    except SyntaxError:
        return False
    functions = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.lineno <= at.line <= (node.end_lineno or 0)
    ]
    scope = max(functions, key=lambda node: node.lineno) if functions else tree
    loops = [
        loop for loop in _loops_around(trace, at) if loop.lineno >= getattr(scope, "lineno", 0)
    ]
    for node in ast.walk(scope):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            around = any(holds(loop, node.lineno) for loop in loops)
            if name in names and (node.lineno > at.line or around):
                return True
    return False


def passed_over(found: FirstDifference) -> bool:
    """Whether a rank went past what another did at this place: with the same line and the same call
    before it, it has made that call there earlier, and its present one a little later."""
    for rank, call in found.calls.items():
        order = found.earlier[rank]
        others = [each for each in found.calls.values() if each is not None and each != call]
        if call is None or not order:
            continue
        for index in range(1, len(order)):
            after = order[index:]
            if order[index - 1] == order[-1] and after[0] in others and call in after[1:]:
                return True
    return False


def loop_left(
    joint: Joint,
    found: FirstDifference,
    stops: dict[int, Location],
    turns: dict[Loop, dict[int, int]],
) -> tuple[int, Loop] | None:
    """A rank that goes on with a loop that another has left, and this loop, which all ranks ran:
    one that they ran a different number of times before others. turns: how often each rank has
    begun the body of each loop."""
    alike: tuple[int, Loop] | None = None
    ways = {
        rank: call.lines if call is not None else (stops[rank],) if rank in stops else ()
        for rank, call in found.calls.items()
    }
    for one, way in ways.items():
        for other, elsewhere in ways.items():
            fork = _fork(way, elsewhere)
            if one == other or fork is None:
                continue
            at, line = fork
            trace = joint.traces[one]
            around = [*_loops_around(trace, way[at])]
            shared = [each for each in around if line is not None and holds(each, line)]
            passed = [turns.get((way[at].file, each.lineno), {}) for each in shared]
            ahead = sum(each.get(one, 0) - each.get(other, 0) for each in passed)
            if ahead > 0 or (line is not None and not ahead and way[at].line > line):
                # It is the other that has not come so far.
                continue
            for place in way[at:]:
                for loop in _loops_around(trace, place):
                    counts = turns.get((place.file, loop.lineno), {one: 0}).values()
                    if loop in shared or 0 in counts:
                        continue
                    if len({*counts}) > 1:
                        return one, (place.file, loop.lineno)
                    if line is not None:
                        alike = alike or (one, (place.file, loop.lineno))
    return alike


def ways_to(joint: Joint) -> Ways:
    return {
        _place(call): call.lines
        for trace in joint.traces.values()
        for each in trace.sightings
        if isinstance(each, Exchanged)
        for call in each.calls
    }


@dataclass(frozen=True, slots=True)
class Program:
    """The lines by which it comes to each call, and how often each rank has begun each loop."""

    joint: Joint
    ways: Ways
    turns: dict[Loop, dict[int, int]]

    def stands_before(self, one: Location, other: Location) -> bool:
        """Whether the program comes to a line before another one: in the outermost function in
        which they are led to from different lines, or else, in one file, by their own."""
        found = self._apart(one, other)
        if found is not None:
            return found[0].line < found[1]
        return one.file == other.file and one.line < other.line

    def ahead(self, rank: int, other: int, stop: Location | None, at: Location) -> bool:
        """Whether a rank is in a later turn than another one of a loop that holds both lines: it
        has gone past `at` in the turn before."""
        found = self._apart(stop, at) if stop is not None else None
        if found is None:
            return False
        trace = self.joint.traces[rank]
        shared = [each for each in _loops_around(trace, found[0]) if holds(each, found[1])]
        counts = [self.turns.get((found[0].file, each.lineno), {}) for each in shared]
        return sum(each.get(rank, 0) - each.get(other, 0) for each in counts) > 0

    def _apart(self, one: Location, other: Location) -> tuple[Location, int] | None:
        """The line that leads to the one in the outermost function in which another leads to the
        other, and this other line."""
        way = self.ways.get((one.file, one.line), (one,))
        found = _fork(way, self.ways.get((other.file, other.line), (other,)))
        return (way[found[0]], found[1]) if found is not None and found[1] is not None else None


def communicating(joint: Joint) -> set[Loop]:
    """The loops in which some rank has communicated, as far as that is known."""
    calls = [
        call
        for trace in joint.traces.values()
        for each in trace.sightings
        if isinstance(each, Exchanged)
        for call in each.calls
    ]
    trace = next(iter(joint.traces.values()))
    places = {(place.file, place.line): place for call in calls for place in call.lines}
    return {(at.file, loop.lineno) for at in places.values() for loop in _loops_around(trace, at)}


def _fork(way: tuple[Location, ...], other: tuple[Location, ...]) -> tuple[int, int | None] | None:
    """Which of the lines of `way` is in the outermost function in which two ranks stood at
    different ones, and the other's line; where the other has ended, the first, and none."""
    if not other:
        return (0, None) if way else None
    for at, mine in enumerate(way):
        for each in other:
            if (mine.file, mine.function) == (each.file, each.function) and mine.line != each.line:
                return at, each.line
    return None


def _loops_around(trace: Trace, at: Location) -> list[_Statement]:
    """The outermost first."""
    found = [node for node in _loops(trace.sources.get(at.file, "")) if holds(node, at.line)]
    return sorted(found, key=lambda node: node.lineno)


@lru_cache(maxsize=8)
def joins_in(source: str) -> tuple[ast.With, ...]:
    """The blocks in which a rank that is done answers for the others, as ``with model.join():``."""
    return tuple(
        node
        for node in nodes_in(source)
        if isinstance(node, ast.With)
        and any(
            isinstance(item.context_expr, ast.Call)
            and ast.unparse(item.context_expr.func).rpartition(".")[2] in _JOINS
            for item in node.items
        )
    )


@lru_cache(maxsize=8)
def _loops(source: str) -> tuple[_Statement, ...]:
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return ()
    return tuple(node for node in ast.walk(tree) if isinstance(node, _Statement))


def holds(loop: _Statement | ast.With, line: int) -> bool:
    return loop.lineno < line <= (loop.end_lineno or 0)


def _what(call: Exchange | None) -> object:
    return (call.operation, call.elements) if call is not None else None


def _place(call: Exchange | None) -> tuple[str, int] | None:
    return (call.lines[-1].file, call.lines[-1].line) if call is not None and call.lines else None
