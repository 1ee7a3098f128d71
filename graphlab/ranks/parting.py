"""Where ranks took different ways, so that some wait for what others never do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from graphlab.language import message
from graphlab.ranks.order import (
    Program,
    communicating,
    counterparts,
    crossed,
    first_difference,
    holds,
    joins_in,
    loop_left,
    passed_over,
    waits_for_each_other,
    ways_to,
)
from graphlab.rules.forks import fork
from graphlab.trace.model import Trace
from graphlab.trace.ranks.joint import Joint
from graphlab.trace.ranks.sightings import (
    Communicated,
    Exchange,
    Exchanged,
    How,
    Parted,
    Scheduled,
    Turns,
)
from graphlab.trace.values import Location

# A line, what it called, and how often on each rank.
Row = tuple[Location, str, dict[int, int]]
# What a wrapper communicates in.
_WRAPPERS = ("forward", "backward")
_NONE: Mapping[int, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Waiting:
    """The ranks that were cut off, and where each of them was; `failed` is the first of those."""

    joint: Joint
    ranks: tuple[int, ...]
    stops: dict[int, Location]

    @property
    def failed(self) -> Location | None:
        return next(iter(self.stops.values()), None)

    def for_what(
        self,
        how: How,
        at: Location,
        operation: str = "",
        counts: Mapping[int, int] = _NONE,
        passed: bool = False,
    ) -> Parted:
        """They wait because of the line `at`, which the ranks ran `counts` times each."""
        never = tuple(
            rank for rank, count in counts.items() if not (count or passed or how == "sizes")
        )
        return Parted(
            at,
            how,
            operation,
            self.failed,
            self.ranks,
            tuple(message("ranks.of_rank", rank=r, text=str(n)) for r, n in counts.items()),
            tuple(
                message("ranks.gl304.in_line", rank=r, line=at.line) for r, at in self.stops.items()
            ),
            never,
            passed,
        )


def parted(joint: Joint) -> Parted | None:
    """Where the ranks took different ways, if some were cut off waiting for the others. An error
    of a rank's own is the whole story."""
    ranks = tuple(rank for rank, trace in joint.traces.items() if cut_off(trace))
    raised = [rank for rank, trace in joint.traces.items() if trace.outcome == "raised"]
    if not ranks or any(rank not in ranks for rank in raised):
        return None
    ended = [trace for trace in joint.traces.values() if trace.outcome == "interrupted"]
    if len(ended) == len(ranks) and not all(map(_in_communication, ended)):
        # All were ended from outside, as by a time limit, and one was still on its way.
        return None
    failures = {rank: joint.traces[rank].exception for rank in ranks}
    stops = {
        rank: failure.at
        for rank, failure in failures.items()
        if failure is not None and failure.at is not None
    }
    waiting = Waiting(joint, ranks, stops)
    pair = waits_for_each_other(joint, stops)
    if pair is not None:
        one, other = sorted(pair, reverse=True)
        # As the program wrote it: send() calls isend().
        operation, _ = _made(joint, stops[one], pair[one])
        found = waiting.for_what("pair", stops[one], operation)
        return replace(found, failed=stops[other])
    return _by_join(waiting) or _by_order(waiting) or _by_crossing(waiting) or _by_counts(waiting)


def _by_join(waiting: Waiting) -> Parted | None:
    """By a call of the program's own under ``with model.join():``, where a rank that is done
    answers for the wrapper's alone."""
    joint, ways = waiting.joint, ways_to(waiting.joint)
    lines = counts_of(joint, Communicated, None)
    done = [(at.file, at.line) for at, _, _ in lines] + [
        (at.file, at.line) for at in waiting.stops.values()
    ]
    for trace in joint.traces.values():
        for file, source in trace.sources.items():
            for block in joins_in(source):
                if (file, block.lineno) not in done:
                    continue
                for at, operation, counts in lines:
                    way = ways.get((at.file, at.line), (at,))
                    inside = any(e.file == file and holds(block, e.line) for e in way)
                    # In a forward under it the wrapper communicates for itself.
                    if inside and operation not in _WRAPPERS and operation in at.code:
                        return waiting.for_what("joined", at, operation, counts)
    return None


def _by_order(waiting: Waiting) -> Parted | None:
    """By the first call that was not the same: of another size, or while others had left a loop."""
    joint = waiting.joint
    found = first_difference(joint)
    if found is None:
        return None
    calls = {rank: call for rank, call in found.calls.items() if call is not None}
    if found.same_line and found.final and len(calls) == len(found.calls):
        call = next(iter(calls.values()))
        sizes = {rank: each.elements for rank, each in calls.items()}
        passed = passed_over(found)
        return waiting.for_what("sizes", call.lines[-1], call.operation, sizes, passed)
    turns = counts_of(joint, Turns, None)
    by_loop = {(at.file, at.line): counts for at, _, counts in turns}
    left = loop_left(joint, found, waiting.stops, by_loop)
    if left is None:
        return None
    rank, loop = left
    at, _, counts = next(row for row in turns if (row[0].file, row[0].line) == loop)
    if len({*counts.values()}) > 1:
        return waiting.for_what("loop", at, "", counts)
    # As many turns so far: it may be the next one's, or a call that was passed over in one of them.
    call = calls.get(rank)
    line = call.lines[-1] if call is not None else waiting.stops.get(rank)
    condition = fork(joint.traces[rank], line)
    if line is None or condition is None or condition.at is None:
        return waiting.for_what("left", at)
    operation, counts = _made(joint, line, call)
    if condition.at.line < at.line or not counts:
        return waiting.for_what("left", at)
    if call is None:
        # A backward counts as it ends, and this one was cut off.
        counts = {**counts, rank: counts[rank] + 1}
    return waiting.for_what("call", line, operation, counts, True)


def _made(joint: Joint, at: Location, call: Exchange | None) -> tuple[str, dict[int, int]]:
    """What the program called in the line `at`, where it came to `call`, and how often."""
    for row, operation, counts in counts_of(joint, Communicated, None):
        if (row.file, row.line) == (at.file, at.line):
            return operation, counts
    return call.operation if call is not None else "", {}


def _by_crossing(waiting: Waiting) -> Parted | None:
    """By a call of one to one that waits for a rank which waits for all."""
    joint, stops = waiting.joint, waiting.stops
    calls = crossed(joint, stops)
    if calls is None:
        return None
    (one, _), (other, _) = calls.items()
    each = tuple(
        message("ranks.of_rank", rank=rank, text=_made(joint, stops[rank], call)[0])
        for rank, call in sorted(calls.items())
    )
    found = waiting.for_what("crossed", stops[one], _made(joint, stops[one], calls[one])[0])
    return replace(found, failed=stops[other], counts=each)


def _by_counts(waiting: Waiting) -> Parted | None:
    joint, stops = waiting.joint, waiting.stops
    lines = counts_of(joint, Communicated, None)
    met = counterparts(joint)
    lines = [row for row in lines if (row[0].file, row[0].line) not in met]
    if len(waiting.ranks) == len(joint.traces):
        # All wait, so that loops differ for the same reason: the calls at which they wait come
        # first. But first of all a call that one of them never made, and that ended, though
        # another's call of something else took its place.
        there = {(at.file, at.line) for at in stops.values()}
        unequal, rows = _unequal(lines), [*lines]
        loops = {(at.file, at.line): counts for at, _, counts in counts_of(joint, Turns, None)}
        program = Program(joint, ways_to(joint), loops)

        def order(row: Row) -> tuple[bool, bool, bool]:
            at, operation, _ = row
            waited, passed = (at.file, at.line) in there, _passed_by(row, rows, stops, program)
            ended = passed and not waited and operation in unequal
            return not ended, not waited, not passed

        lines.sort(key=order)
        tables = ((lines, False), (counts_of(joint, Turns, waiting.failed), True))
    else:
        known = communicating(joint)
        turns = counts_of(joint, Turns, waiting.failed)
        turns = [row for row in turns if not known or (row[0].file, row[0].line) in known]
        tables = ((turns, True), (lines, False))
    for table, is_loop in tables:
        for at, operation, counts in table:
            if len(set(counts.values())) > 1:
                return waiting.for_what("loop" if is_loop else "call", at, operation, counts)
    return None


def _passed_by(row: Row, rows: list[Row], stops: dict[int, Location], program: Program) -> bool:
    """Whether some rank never made the call, and not because it still waits in an earlier line, at
    a call that it has made once more than the others."""
    at, _, counts = row
    made = [rank for rank, count in counts.items() if count]
    return any(
        count == 0
        and (
            any(program.ahead(rank, other, stops.get(rank), at) for other in made)
            or not _waits_before(at, rank, rows, stops.get(rank), program)
        )
        for rank, count in counts.items()
    )


def _waits_before(
    at: Location, rank: int, rows: list[Row], stop: Location | None, program: Program
) -> bool:
    if stop is None or not program.stands_before(stop, at):
        return False
    return any(
        (where.file, where.line) == (stop.file, stop.line)
        and counts.get(rank, 0)
        > max((n for other, n in counts.items() if other != rank), default=0)
        for where, _, counts in rows
    )


def _unequal(lines: list[Row]) -> set[str]:
    """The operations that the ranks called a different number of times, over all lines."""
    totals: dict[str, Counter[int]] = {}
    for _, operation, counts in lines:
        totals.setdefault(operation, Counter()).update(counts)
    return {operation for operation, each in totals.items() if len({*each.values()}) > 1}


def counts_of(
    joint: Joint, kind: type[Turns | Communicated | Scheduled], around: Location | None
) -> list[Row]:
    """What was counted, by its line, on every rank; with `around`, the nearest before that line
    first."""
    found: dict[tuple[str, int, str], tuple[Location, str, dict[int, int]]] = {}
    for rank, trace in joint.traces.items():
        for each in trace.sightings:
            if isinstance(each, kind) and each.at is not None:
                word = each.operation if isinstance(each, Communicated | Scheduled) else ""
                key = (each.at.file, each.at.line, word)
                if key not in found:
                    found[key] = (each.at, word, dict.fromkeys(joint.traces, 0))
                found[key][2][rank] = each.count
    rows = [*found.values()]
    if around is not None:
        same = [row for row in rows if row[0].file == around.file and row[0].line <= around.line]
        rows = [
            *sorted(same, key=lambda row: -row[0].line),
            *(row for row in rows if row not in same),
        ]
    return rows


def _in_communication(trace: Trace) -> bool:
    """Whether the line at which a rank was ended communicates; true where it is not known."""
    at = trace.exception.at if trace.exception is not None else None
    if at is None or ".wait(" in at.code:
        return True
    calls = [call for each in trace.sightings if isinstance(each, Exchanged) for call in each.calls]
    lines = [place for call in calls for place in call.lines]
    lines += [each.at for each in trace.sightings if isinstance(each, Communicated) and each.at]
    return any((place.file, place.line) == (at.file, at.line) for place in lines)


def cut_off(trace: Trace) -> bool:
    """Whether the rank ended because communication did. There are exception types for that; what
    gloo raises, and a wrapper's backward, is a RuntimeError whose text alone tells."""
    failure = trace.exception
    if failure is None:
        return False
    if trace.outcome == "interrupted" or failure.type.startswith("Dist"):
        return True
    said = failure.message.lower()
    words = (
        "gloo", "nccl", "connection closed by peer", "connection reset by peer",
        "application timeout",
    )  # fmt: skip
    return failure.type == "RuntimeError" and any(word in said for word in words)
