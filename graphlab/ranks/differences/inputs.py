"""Compares what the ranks trained with beside the parameters: batches, frozen networks, modes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

from graphlab.language import message
from graphlab.trace.ranks.inputs import (
    Forwards,
    Frozen,
    FrozenApart,
    Modes,
    ModesApart,
    OrdersApart,
    SameBatches,
    Shuffled,
)
from graphlab.trace.ranks.joint import Joint

# So many forwards must have been given the same.
ENOUGH = 4
# At so many looks must what was the same have differed, to the last: a rank may send it to the
# others now and then.
PARTED = 3
# At so many forwards must modes have differed: one may be a trial.
OFTEN = 2
_Kind = TypeVar("_Kind", Forwards, Frozen, Modes)


def same_batches(joint: Joint) -> SameBatches | None:
    """The first wrapper whose compared forwards were all given the same on all ranks. Where a line
    of another was given something else, it may be what the parts of one training take in common,
    unless the ranks draw the same random numbers."""
    told: list[tuple[SameBatches, bool]] = []
    unlike = False
    for rows in _on_all(joint, Forwards):
        given = [dict(each.given) for each in rows]
        numbers = set(given[0]).intersection(*given[1:])
        if any(len({each[number] for each in given}) > 1 for number in numbers):
            unlike = True
            continue
        varied = {given[0][number] for number in numbers}
        if len(numbers) >= ENOUGH and len(varied) > 1:
            first = rows[0]
            random = {each.random for each in rows}
            drawn = len(random) == 1 and len({*first.random}) == len(first.random) > 0
            found = SameBatches(
                first.at, first.name, len(numbers), first.loader, tuple(joint.traces)
            )
            told.append((found, drawn))
    if unlike:
        told = [(replace(found, loader=None, drawn=True), True) for found, drawn in told if drawn]
    return told[0][0] if told else None


def orders_apart(joint: Joint) -> OrdersApart | None:
    """The first sampler of which ranks with other parts shuffle by other numbers. Where only the
    epochs differ, more than one pass must show it, and in each: the ranks may have begun to train
    at other epochs of theirs."""
    samplers: dict[object, dict[int, Shuffled]] = {}
    for rank, trace in joint.traces.items():
        for each in trace.sightings:
            if isinstance(each, Shuffled) and each.parts > 1:
                key = (each.at, each.samples, each.parts)
                samplers.setdefault(key, {}).setdefault(rank, each)
    for ranks in samplers.values():
        rows = [*ranks.values()]
        if len(rows) < len(joint.traces) or len({each.part for each in rows}) < 2:
            continue
        by, numbers = "seed", [each.seed for each in rows]
        passes = [*zip(*(each.epochs for each in rows), strict=False)]
        if len({*numbers}) == 1 and len(passes) > 1 and all(len({*each}) > 1 for each in passes):
            by, numbers = "epoch", [each.epochs[0] for each in rows]
        totals = {(each.part, each.seed + each.epochs[0]) for each in rows}
        if len({*numbers}) == 1 or len({total for _, total in totals}) == 1:
            continue
        texts = tuple(
            message("ranks.of_rank", rank=rank, text=str(number))
            for rank, number in zip(ranks, numbers, strict=True)
        )
        first = rows[0]
        return OrdersApart(
            first.at, first.loop, "seed" if by == "seed" else "epoch", texts, tuple(ranks)
        )
    return None


def frozen_apart(joint: Joint) -> FrozenApart | None:
    """The first frozen module whose parameters have never been the same on all ranks, or no longer
    were after one of the looks."""
    for rows in _on_all(joint, Frozen):
        values = [_by_look(each) for each in rows]
        looks = sorted(set(values[0]).intersection(*values[1:]))
        apart = [len({each[look] for each in values}) > 1 for look in looks]
        ranks = tuple(joint.traces)
        moved = [len({*each.values()}) > 1 for each in values]
        at, name = rows[0].at, rows[0].name
        if looks and all(apart):
            return FrozenApart(at, name, all(moved), ranks)
        first = apart.index(True) if True in apart else len(apart)
        if first and all(apart[first:]) and len(apart) - first >= PARTED:
            some = tuple(rank for rank, each in zip(ranks, moved, strict=True) if each)
            write = next((each for each in rows if each.written is not None), rows[0])
            return FrozenApart(at, name, True, ranks, True, some, write.written, write.written_by)
    return None


def _by_look(each: Frozen) -> dict[int, str]:
    return dict(zip(each.looks or range(len(each.values)), each.values, strict=True))


def modes_apart(joint: Joint) -> ModesApart | None:
    """The first forward at which a module was in evaluation on some ranks and in training on
    others, if it was so at as many as are asked for."""
    ranks = tuple(joint.traces)
    for rows in _on_all(joint, Modes):
        modes = [dict(each.modes) for each in rows]
        if len({each.paths for each in rows}) > 1:
            continue
        numbers = sorted(set(modes[0]).intersection(*modes[1:]))
        apart = [number for number in numbers if len({each[number] for each in modes}) > 1]
        if len(apart) < OFTEN:
            continue
        columns = [*zip(*(each[apart[0]] for each in modes), strict=True)]
        unlike = [at for at, column in enumerate(columns) if len({*column}) > 1]
        some = tuple(
            rank for rank, mode in zip(ranks, columns[unlike[0]], strict=True) if mode == "e"
        )
        put = next(row for rank, row in zip(ranks, rows, strict=True) if rank in some)
        return ModesApart(
            put.at, put.name, put.paths[unlike[0]], len(unlike) - 1, apart[0], some,
            put.put, put.put_by, ranks,
        )  # fmt: skip
    return None


def _on_all(joint: Joint, kind: type[_Kind]) -> Iterator[list[_Kind]]:
    """What every rank has seen of the same name at the same line."""
    table: dict[tuple[object, str], dict[int, _Kind]] = {}
    for rank, trace in joint.traces.items():
        for each in trace.sightings:
            if isinstance(each, kind) and each.at is not None:
                key = ((each.at.file, each.at.line), each.name)
                table.setdefault(key, {}).setdefault(rank, each)
    for rows in table.values():
        if len(rows) == len(joint.traces):
            yield [*rows.values()]
