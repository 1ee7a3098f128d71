"""What only the traces of several ranks side by side show, as sightings of each of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from graphlab.language import message
from graphlab.ranks.differences.buffers import buffers_apart
from graphlab.ranks.differences.columns import apart_in_groups, rewritten, unlike
from graphlab.ranks.differences.exchanged import alone_with, exchanged_by_hand
from graphlab.ranks.differences.inputs import (
    frozen_apart,
    modes_apart,
    orders_apart,
    same_batches,
)
from graphlab.ranks.differences.models import modules_differ
from graphlab.ranks.differences.orders import aligned, averaged_with_others
from graphlab.ranks.differences.personal import personal
from graphlab.ranks.differences.updates import (
    clipped_apart,
    only_scheduler,
    rates_apart,
    restored_by_some,
    stepped_by_some,
)
from graphlab.ranks.differences.weights import unequal
from graphlab.ranks.parting import parted
from graphlab.trace.model import Trace
from graphlab.trace.ranks.joint import Joint
from graphlab.trace.ranks.sightings import (
    GradientWrite,
    NotAveraged,
    RankSighting,
    RankStep,
    ShardStep,
    Source,
    StepsApart,
    Unfinished,
)
from graphlab.trace.ranks.updates import Apart

Steps = dict[int, RankStep]
# With these reasons, parameters that differ before may well be each rank's own.
_BY_HAND = ("by-hand", "copied", "never", "group", "unsharded", "beside")
# With these, others of the same optimizer are averaged.
_BESIDE = ("by-hand", "unsharded", "beside")

# Under this, a rank that is done answers for the others.
_JOIN = re.compile(r"\bwith\b[^\n]*\b[jJ]oin\(")


def compared(joint: Joint) -> Joint:
    """The same traces, each with what was seen of their differences."""
    if len(joint.traces) < 2:
        return joint
    more: dict[int, list[RankSighting]] = {rank: [] for rank in joint.traces}
    # Where a reduction never finished, that is why gradients differ; of a parameter that took
    # another's place both are to be said.
    unfinished = any(
        isinstance(each, Unfinished) and each.why != "replaced"
        for trace in joint.traces.values()
        for each in trace.sightings
    )
    parting = parted(joint)
    # Ranks that wait for each other have made what others have not, of steps as of all else.
    goes_on = not unfinished and parting is None
    skipped = (_skipped(joint) or stepped_by_some(joint)) if goes_on else {}
    for rank, sighting in skipped.items():
        more[rank].append(sighting)
    alone = alone_with(joint, same_steps(joint))
    before: Steps = {}
    for steps in same_steps(joint) if not unfinished and not skipped else ():
        behind = _behind(before, steps)
        for rank, sighting in behind or _differences(joint, steps, before, alone):
            more[rank].append(sighting)
        # What differs later may follow from it.
        if any(more.values()):
            break
        before = steps
    if not any(more.values()):
        for rank, sighting in (*_scaled(joint), *(_rated(joint) if goes_on else ())):
            more[rank].append(sighting)
    # Where ranks part, that is the story; and buffers follow from parameters that differ.
    weighed = unequal(joint) if parting is None else None
    whole = not any(more.values()) and parting is None
    buffers = buffers_apart(joint) if not any(more.values()) else ()
    frozen = frozen_apart(joint) if whole and not exchanged_by_hand(joint) else None
    batches = same_batches(joint) if whole else None
    clipped = clipped_apart(joint) if whole else None
    others = (modes_apart(joint) if parting is None else None, modules_differ(joint))
    orders = orders_apart(joint)
    for sighting in (parting, weighed, *buffers, frozen, batches, clipped, *others, orders):
        if sighting is not None:
            for each in more.values():
                each.append(sighting)
    return replace(
        joint,
        traces={
            rank: replace(trace, sightings=(*trace.sightings, *more[rank]))
            for rank, trace in joint.traces.items()
        },
    )


def same_steps(joint: Joint) -> Iterator[Steps]:
    """The sampled steps that all ranks have made, in the order of the first rank's; none where
    their numbers say nothing, as a rank that is done first has joined those with more turns."""
    if _joined(joint):
        return
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


def _joined(joint: Joint) -> bool:
    counts = {tuple(each.steps for each in trace.optimizers) for trace in joint.traces.values()}
    texts = [text for trace in joint.traces.values() for text in trace.sources.values()]
    return len(counts) > 1 and any(_JOIN.search(text) for text in texts)


def _skipped(joint: Joint) -> dict[int, StepsApart]:
    """The first iteration in which some ranks made a step and others, which went on, did not."""
    made: dict[str, dict[int, dict[int, RankStep]]] = {}
    for rank, trace in joint.traces.items():
        for each in trace.sightings:
            if isinstance(each, RankStep) and each.iteration is not None and _is_shared(each):
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


def _behind(before: Steps, steps: Steps) -> list[tuple[int, RankSighting]]:
    """Where since the sampled step before some ranks have needed fewer iterations than others for
    as many steps, and the parameters differ: they ran the step in some in which others did not."""
    passed = {
        rank: step.iteration - (before[rank].iteration or 0 if before else 0)
        for rank, step in steps.items()
        if step.iteration is not None
    }
    rows = [*steps.values()]
    if len(passed) < len(steps) or len({*passed.values()}) == 1 or not all(map(_is_shared, rows)):
        return []
    values = _shared(rows, apart_in_groups(rows, lambda step: step.values))
    fewest = min(passed.values())
    did = tuple(rank for rank, count in passed.items() if count == fewest)
    at = max(step.iteration or 0 for step in rows)
    return [
        (rank, replace(_apart(step, values, "behind", None, did, ()), iteration=at))
        for rank, step in steps.items()
        if values
    ]


def _name(trace: Trace, step: RankStep | ShardStep) -> str:
    return trace.optimizers[step.optimizer].name


def _differences(
    joint: Joint, steps: Steps, before: Steps, alone: set[str]
) -> Iterator[tuple[int, RankSighting]]:
    crossed = averaged_with_others(joint.traces, steps)
    in_order = None if crossed else aligned(joint.traces, steps)
    if in_order is None:
        yield from crossed.items()
        return
    steps = in_order
    rows, ranks = [*steps.values()], tuple(steps)
    fresh = apart_in_groups(rows, lambda step: step.fresh)
    values = apart_in_groups(rows, lambda step: step.values)
    gradients = apart_in_groups(rows, lambda step: step.gradients)
    averaged = [
        at
        for at in values
        if before and all(at < len(row.shared) and row.shared[at] for row in before.values())
    ]
    applied = _applied(rows, fresh, [at for at in values if at not in averaged])
    if _name(next(iter(joint.traces.values())), rows[0]) not in alone:
        # Where nothing averages any gradient, the ranks may train models of their own.
        applied = [at for at in applied if _source(rows, at).why not in ("never", "beside")]
    if exchanged_by_hand(joint):
        # Experts of each rank's own are whole beside sharded parameters.
        applied = [at for at in applied if _source(rows, at).why != "unsharded"]
    own = personal(joint, rows[0], [at for at in applied if _source(rows, at).why in _BESIDE])
    applied = [at for at in applied if at not in own]
    # Where nobody waited for the average, it is luck whether it was there.
    every = range(len(rows[0].tensors))
    applied = [at for at in every if _source(rows, at).why == "in-flight"] or applied
    if applied:
        for rank, step in steps.items():
            source = _source(rows, applied[0])
            yield (
                rank,
                NotAveraged(
                    step.at, step.optimizer, step.iteration,
                    tuple(step.tensors[at] for at in applied), source, ranks,
                ),
            )  # fmt: skip
        return
    values = _shared(rows, values)
    # What each rank has for itself beside a wrapped model says nothing of that.
    fresh, gradients = (
        [at for at in each if _source(rows, at).why != "beside"] for each in (fresh, gradients)
    )
    if (fresh and gradients) or not all(map(_is_shared, rows)):
        return
    if gradients:
        write, who = _written_by_some(steps, lambda step: step.writes)
        for rank, step in steps.items():
            yield rank, _apart(step, gradients, "written", write, who or ranks, ())
    elif unlike(rows, lambda step: step.rates):
        differs = tuple(
            message("ranks.of_rank", rank=rank, text=", ".join(step.rates))
            for rank, step in steps.items()
        )
        write, who = restored_by_some(joint)
        if write is None and rows[0].step:
            write = only_scheduler(joint)
        for rank, step in steps.items():
            every = range(len(step.tensors))
            yield rank, _apart(step, every, "rate", write, who or ranks, differs)
    elif unlike(rows, lambda step: step.settings):
        differs = tuple(
            message("ranks.of_rank", rank=rank, text="; ".join(step.settings))
            for rank, step in steps.items()
        )
        for rank, step in steps.items():
            yield rank, _apart(step, range(len(step.tensors)), "settings", None, ranks, differs)
    elif values:
        write, who = _written_by_some(steps, lambda step: step.value_writes)
        name = _name(next(iter(joint.traces.values())), rows[0])
        rated = rates_apart(joint, name, rows[0].step) if not who else None
        among = rows[0].groups[values[0]] if rows[0].groups and not rows[0].step else ()
        if among:
            # It is by their average that they are to be the same, and they were not made so.
            source = _source(rows, values[0])
            mean = GradientWrite(source.cause, source.cause_by)
            for rank in among:
                yield rank, _apart(steps[rank], values, "among", mean, among, ())
            return
        if rated is not None:
            for rank, step in steps.items():
                yield rank, _apart(step, values, "rate", rated[0], ranks, tuple(rated[1]))
            return
        again = rewritten(rows, values[0]) if not who and not rows[0].step else None
        if not who and not rows[0].step:
            # They were made differently: all ranks wrote to them alike.
            write = again
        elif not who and (restored := restored_by_some(joint))[0] is not None:
            write, who = restored
        why = "values" if write is not None or not rows[0].step else "drifted"
        why = "rewritten" if again is not None else why
        for rank, step in steps.items():
            yield rank, _apart(step, values, why, write, who or ranks, ())


def _scaled(joint: Joint) -> Iterator[tuple[int, RankSighting]]:
    """The first sampled step before which each rank had scaled its shards by another factor."""
    table = {
        rank: {
            (_name(trace, each), each.step): each
            for each in trace.sightings
            if isinstance(each, ShardStep)
        }
        for rank, trace in joint.traces.items()
    }
    for key in next(iter(table.values())):
        steps = {rank: each[key] for rank, each in table.items() if key in each}
        factors = [each.factor for each in steps.values()]
        rounding = max(each.rounding for each in steps.values()) * max(map(abs, factors))
        if len(steps) < len(table) or max(factors) - min(factors) <= rounding:
            continue
        write = next((write for each in steps.values() for write in each.writes), None)
        if write is None:
            continue
        differs = tuple(
            message("ranks.of_rank", rank=rank, text=f"{each.factor:.3g}")
            for rank, each in steps.items()
        )
        for rank, each in steps.items():
            yield rank, StepsApart(
                each.at, each.optimizer, each.iteration, (), "scaled", write.at, write.by,
                tuple(steps), differs,
            )  # fmt: skip
        return


def _rated(joint: Joint) -> Iterator[tuple[int, RankSighting]]:
    """A scheduler that gave an optimizer other rates since the last step that was compared."""
    last = {
        _name(joint.traces[min(steps)], steps[min(steps)]): steps for steps in same_steps(joint)
    }
    for name, steps in last.items():
        made = [joint.traces[rank].optimizers[step.optimizer].steps for rank, step in steps.items()]
        found = rates_apart(joint, name, min(made))
        if found is None or not all(map(_is_shared, steps.values())):
            continue
        for rank, step in steps.items():
            every = range(len(step.tensors))
            apart = _apart(step, every, "rate", found[0], (*steps,), tuple(found[1]))
            yield rank, replace(apart, iteration=None)
        return


def _applied(rows: list[RankStep], differing: list[int], own: list[int]) -> list[int]:
    """Those of the differing gradients that are applied as they are, and not averaged later: the
    ones at the step still differ. Known reasons come first. Without a wrapper none of parameters
    that each rank may well have of its `own`: they differ, and the step compared before did not
    average them."""
    still = set(apart_in_groups(rows, lambda step: step.gradients))
    found = [
        at
        for at in differing
        if at in still and not (_source(rows, at).why in _BY_HAND and at in own)
    ]
    return sorted(found, key=lambda at: not _source(rows, at).why)


def _source(rows: list[RankStep], at: int) -> Source:
    """The backward that wrote a gradient, on the first rank on which one did, and the reason of the
    first rank that has one: a parameter may be used on some ranks alone."""
    found = [row.sources[row.source_of[at]] for row in rows]
    wrote = next((each for each in found if each.at is not None), found[0])
    why = next((each for each in found if each.why), wrote)
    return replace(wrote, why=why.why, cause=why.cause, cause_by=why.cause_by, before=why.before)


def _shared(rows: list[RankStep], found: list[int]) -> list[int]:
    """Those of the parameters that are replicas: a wrapper's, or averaged by the program."""
    return [at for at in found if all(not row.shared or row.shared[at] for row in rows)]


def _is_shared(step: RankStep) -> bool:
    return not step.shared or any(step.shared)


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
    why: Apart,
    write: GradientWrite | None,
    ranks: tuple[int, ...],
    differs: tuple[str, ...],
) -> StepsApart:
    return StepsApart(
        step.at, step.optimizer, step.iteration, tuple(step.tensors[at] for at in differing),
        why, write.at if write is not None else None,
        write.by if write is not None else "", ranks, differs,
    )  # fmt: skip
