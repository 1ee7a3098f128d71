"""What only the traces of several ranks side by side show, as sightings of each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from graphlab.language import message
from graphlab.trace.model import Trace
from graphlab.trace.ranks.joint import Joint
from graphlab.trace.ranks.sightings import (
    Communicated,
    GradientWrite,
    NotAveraged,
    Parted,
    RankSighting,
    RankStep,
    Scheduled,
    Source,
    StepsApart,
    Turns,
    Unfinished,
)
from graphlab.trace.values import Location

Steps = dict[int, RankStep]


def compared(joint: Joint) -> Joint:
    """The same traces, each with what was seen of their differences."""
    if len(joint.traces) < 2:
        return joint
    more: dict[int, list[RankSighting]] = {rank: [] for rank in joint.traces}
    # Where a reduction never finished, that is why gradients differ.
    unfinished = any(isinstance(s, Unfinished) for t in joint.traces.values() for s in t.sightings)
    skipped = _skipped(joint) if not unfinished else {}
    for rank, sighting in skipped.items():
        more[rank].append(sighting)
    for steps in _same_steps(joint) if not unfinished and not skipped else ():
        for rank, sighting in _differences(joint, steps):
            more[rank].append(sighting)
        # What differs later may follow from it.
        if any(more.values()):
            break
    parted = _parted(joint)
    if parted is not None:
        for each in more.values():
            each.append(parted)
    return replace(
        joint,
        traces={
            rank: replace(trace, sightings=(*trace.sightings, *more[rank]))
            for rank, trace in joint.traces.items()
        },
    )


def _same_steps(joint: Joint) -> Iterator[Steps]:
    """The sampled steps that all ranks have made, in the order of the first rank's."""
    table: dict[int, dict[tuple[str, int], RankStep]] = {}
    for rank, trace in joint.traces.items():
        table[rank] = {
            (_name(trace, each), each.step): each
            for each in trace.sightings
            if isinstance(each, RankStep)
        }
    first = next(iter(table.values()))
    for key in sorted(first, key=lambda key: (first[key].iteration or 0, key[1])):
        if all(key in each for each in table.values()):
            yield {rank: each[key] for rank, each in table.items()}


def _skipped(joint: Joint) -> dict[int, StepsApart]:
    """The first iteration in which some ranks made a step and others, which went on, did not."""
    made: dict[str, dict[int, dict[int, RankStep]]] = {}
    for rank, trace in joint.traces.items():
        for each in trace.sightings:
            if isinstance(each, RankStep) and each.iteration is not None:
                steps = made.setdefault(_name(trace, each), {}).setdefault(rank, {})
                if len(steps) == each.step:
                    # Of the first steps each is there.
                    steps[each.iteration] = each
    for ranks in made.values():
        if len(ranks) < len(joint.traces):
            continue
        for iteration in sorted({at for steps in ranks.values() for at in steps}):
            did = tuple(rank for rank, steps in ranks.items() if iteration in steps)
            if any(max(steps) < iteration for steps in ranks.values()):
                break
            if len(did) < len(ranks):
                step = ranks[did[0]][iteration]
                return {
                    rank: _apart(steps.get(iteration, step), (), "skipped", None, did, ())
                    for rank, steps in ranks.items()
                }
    return {}


def _name(trace: Trace, step: RankStep) -> str:
    return trace.optimizers[step.optimizer].name


def _differences(joint: Joint, steps: Steps) -> Iterator[tuple[int, RankSighting]]:
    rows = [*steps.values()]
    names = [
        [joint.traces[rank].tensors[at].name for at in step.tensors] for rank, step in steps.items()
    ]
    if any(each != names[0] for each in names):
        return
    ranks = tuple(steps)
    fresh = _unlike(rows, lambda step: step.fresh)
    values = _unlike(rows, lambda step: step.values)
    gradients = _unlike(rows, lambda step: step.gradients)
    if fresh:
        averaged = _averaged(rows, fresh)
        if not averaged:
            return
        for rank, step in steps.items():
            source = step.sources[step.source_of[averaged[0]]]
            yield (
                rank,
                NotAveraged(
                    step.at, step.optimizer, step.iteration,
                    tuple(step.tensors[at] for at in averaged), source, ranks,
                ),
            )  # fmt: skip
        return
    if gradients:
        write, who = _written_by_some(steps, lambda step: step.writes)
        for rank, step in steps.items():
            yield rank, _apart(step, gradients, "written", write, who or ranks, ())
    elif _unlike(rows, lambda step: step.rates):
        differs = tuple(
            message("ranks.of_rank", rank=rank, text=", ".join(step.rates))
            for rank, step in steps.items()
        )
        write = _scheduler(joint) if rows[0].step else None
        for rank, step in steps.items():
            yield rank, _apart(step, range(len(step.tensors)), "rate", write, ranks, differs)
    elif _unlike(rows, lambda step: step.settings):
        differs = tuple(
            message("ranks.of_rank", rank=rank, text="; ".join(step.settings))
            for rank, step in steps.items()
        )
        for rank, step in steps.items():
            yield rank, _apart(step, range(len(step.tensors)), "settings", None, ranks, differs)
    elif values:
        write, who = _written_by_some(steps, lambda step: step.value_writes)
        for rank, step in steps.items():
            yield rank, _apart(step, values, "values", write, who or ranks, ())


def _scheduler(joint: Joint) -> GradientWrite | None:
    """The line that steps a scheduler on some ranks more often than on others; else the only one
    that steps any."""
    rows = _counts(joint, Scheduled, None)
    for at, _, counts in rows:
        if len(set(counts.values())) > 1:
            return GradientWrite(at, "the scheduler's step()")
    return GradientWrite(rows[0][0], "the scheduler's step()") if len(rows) == 1 else None


def _averaged(rows: list[RankStep], differing: list[int]) -> list[int]:
    """Those of the differing gradients that are applied as they are, and not averaged later: the
    ones at the step still differ. Known reasons come first."""
    still = set(_unlike(rows, lambda step: step.gradients))
    found = [at for at in differing if at in still]
    return sorted(found, key=lambda at: not _source(rows, at).why)


def _source(rows: list[RankStep], at: int) -> Source:
    return rows[0].sources[rows[0].source_of[at]]


def _unlike(rows: list[RankStep], column: Callable[[RankStep], Sequence[str]]) -> list[int]:
    """Where the ranks' entries differ."""
    entries = zip(*(column(row) for row in rows), strict=False)
    return [at for at, each in enumerate(entries) if len(set(each)) > 1]


def _written_by_some(
    steps: Steps, writes: Callable[[RankStep], Sequence[GradientWrite]]
) -> tuple[GradientWrite | None, tuple[int, ...]]:
    """The first of the `writes` that not every rank made, and who did; else one of all."""
    everywhere: GradientWrite | None = None
    for step in steps.values():
        for write in writes(step):
            who = tuple(
                rank
                for rank, other in steps.items()
                if any(_same(write, each) for each in writes(other))
            )
            if len(who) < len(steps):
                return write, who
            everywhere = everywhere or write
    return everywhere, ()


def _same(one: GradientWrite, other: GradientWrite) -> bool:
    if one.at is None or other.at is None:
        return one == other
    return (one.at.file, one.at.line) == (other.at.file, other.at.line)


def _apart(
    step: RankStep,
    differing: Sequence[int],
    why: str,
    write: GradientWrite | None,
    ranks: tuple[int, ...],
    differs: tuple[str, ...],
) -> StepsApart:
    return StepsApart(
        step.at, step.optimizer, step.iteration, tuple(step.tensors[at] for at in differing),
        why, write.at if write is not None else None,  # pyright: ignore[reportArgumentType]
        write.by if write is not None else "", ranks, differs,
    )  # fmt: skip


def _parted(joint: Joint) -> Parted | None:
    """Where the ranks took different ways, if some were cut off waiting for the others. An error
    of a rank's own is the whole story."""
    waiting = tuple(rank for rank, trace in joint.traces.items() if _cut_off(trace))
    raised = [rank for rank, trace in joint.traces.items() if trace.outcome == "raised"]
    if not waiting or any(rank not in waiting for rank in raised):
        return None
    stops = {
        rank: failure.at
        for rank in waiting
        if (failure := joint.traces[rank].exception) is not None and failure.at is not None
    }
    failed = next(iter(stops.values()), None)
    lines = _counts(joint, Communicated, None)
    if len(waiting) == len(joint.traces):
        # All wait, so that loops differ for the same reason: the calls at which they wait come
        # first.
        there = {(at.file, at.line) for at in stops.values()}
        lines.sort(key=lambda row: (row[0].file, row[0].line) not in there)
        # But first of all a call that one of them never made, and that ended, though another's
        # call of something else took its place.
        unequal = _unequal(lines)
        lines.sort(
            key=lambda row: (
                not (
                    (row[0].file, row[0].line) not in there
                    and 0 in row[2].values()
                    and row[1] in unequal
                )
            )
        )
        tables = ((lines, False), (_counts(joint, Turns, failed), True))
    else:
        tables = ((_counts(joint, Turns, failed), True), (lines, False))
    for table, is_loop in tables:
        for at, operation, counts in table:
            if len(set(counts.values())) > 1:
                said = tuple(f"rank {rank}: {count}" for rank, count in counts.items())
                where = tuple(f"rank {rank} in line {at.line}" for rank, at in stops.items())
                return Parted(at, is_loop, operation, failed, waiting, said, where)
    return None


def _unequal(lines: list[tuple[Location, str, dict[int, int]]]) -> set[str]:
    """The operations that the ranks called a different number of times, over all lines."""
    totals: dict[str, Counter[int]] = {}
    for _, operation, counts in lines:
        totals.setdefault(operation, Counter()).update(counts)
    return {operation for operation, each in totals.items() if len({*each.values()}) > 1}


def _counts(
    joint: Joint, kind: type[Turns | Communicated | Scheduled], around: Location | None
) -> list[tuple[Location, str, dict[int, int]]]:
    """What was counted, by its line, on every rank; with `around`, the nearest before that line
    first."""
    found: dict[tuple[str, int, str], tuple[Location, str, dict[int, int]]] = {}
    for rank, trace in joint.traces.items():
        for each in trace.sightings:
            if isinstance(each, kind) and each.at is not None:
                word = each.operation if isinstance(each, Communicated) else ""
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


def _cut_off(trace: Trace) -> bool:
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
