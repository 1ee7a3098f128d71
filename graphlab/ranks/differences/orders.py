"""Compares the steps of ranks that have the same parameters in other orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from graphlab.trace.model import Trace
from graphlab.trace.ranks.sightings import GradientWrite, NotAveraged, RankStep

_T = TypeVar("_T")


def aligned(traces: Mapping[int, Trace], steps: dict[int, RankStep]) -> dict[int, RankStep] | None:
    """The steps, each with its parameters in the order of the first rank's; none where they are not
    the same ones."""
    names = {rank: _names(traces[rank], step) for rank, step in steps.items()}
    first = next(iter(names.values()))
    if all(each == first for each in names.values()):
        return steps
    known = all(None not in each and len({*each}) == len(each) for each in names.values())
    if not known or any({*each} != {*first} for each in names.values()):
        return None
    return {
        rank: _in_order(step, [names[rank].index(name) for name in first])
        for rank, step in steps.items()
    }


def averaged_with_others(
    traces: Mapping[int, Trace], steps: dict[int, RankStep]
) -> dict[int, NotAveraged]:
    """By rank, the parameters whose gradient is that of another one on another rank, in whose
    place they are there: the program has averaged the two."""
    names = [_names(traces[rank], step) for rank, step in steps.items()]
    rows = [*steps.values()]
    moved = [at for at, each in enumerate(zip(*names, strict=False)) if len({*each}) > 1]
    if not moved or any(len(row.gradients) != len(rows[0].gradients) for row in rows):
        return {}
    own = [
        dict(zip(each, row.gradients, strict=True)) for each, row in zip(names, rows, strict=True)
    ]
    crossed = [
        at
        for at in moved
        if len({row.gradients[at] for row in rows}) == 1
        and len({each.get(names[0][at]) for each in own}) > 1
        and all(row.shared and row.shared[at] for row in rows)
    ]
    if not crossed or any({*each} != {*names[0]} for each in names):
        return {}
    found: dict[int, NotAveraged] = {}
    for (rank, step), mine in zip(steps.items(), names, strict=True):
        source = step.sources[step.source_of[crossed[0]]]
        mean = next(iter(step.writes), GradientWrite(None, ""))
        source = replace(source, why="order", cause=mean.at, cause_by=mean.by)
        # They are told once, as the first rank has them.
        same = [mine.index(names[0][at]) for at in crossed]
        places = tuple(step.tensors[at] for at in same)
        found[rank] = NotAveraged(
            step.at, step.optimizer, step.iteration, places, source, tuple(steps)
        )
    return found


def _names(trace: Trace, step: RankStep) -> list[str | None]:
    return [trace.tensors[at].name for at in step.tensors]


def _in_order(step: RankStep, order: list[int]) -> RankStep:
    def of(column: tuple[_T, ...]) -> tuple[_T, ...]:
        return tuple(column[at] for at in order) if column else ()

    return replace(
        step,
        tensors=of(step.tensors),
        values=of(step.values),
        fresh=of(step.fresh),
        gradients=of(step.gradients),
        source_of=of(step.source_of),
        shared=of(step.shared),
        groups=of(step.groups),
        rewritten=tuple((order.index(at), write) for at, write in step.rewritten),
    )
