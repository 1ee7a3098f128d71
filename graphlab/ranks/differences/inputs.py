"""Compares what the ranks trained with beside the model: batches, and frozen networks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from graphlab.trace.ranks.inputs import Forwards, Frozen, FrozenApart, SameBatches
from graphlab.trace.ranks.joint import Joint

# So many forwards must have been given the same.
ENOUGH = 4
_Kind = TypeVar("_Kind", Forwards, Frozen)


def same_batches(joint: Joint) -> SameBatches | None:
    """The first wrapper whose compared forwards were all given the same on all ranks, if a line of
    no other wrapper was given something else: what the parts of one training take in common."""
    told: list[SameBatches] = []
    for rows in _on_all(joint, Forwards):
        given = [dict(each.given) for each in rows]
        numbers = set(given[0]).intersection(*given[1:])
        if any(len({each[number] for each in given}) > 1 for number in numbers):
            return None
        varied = {given[0][number] for number in numbers}
        if len(numbers) >= ENOUGH and len(varied) > 1:
            first = rows[0]
            told.append(
                SameBatches(first.at, first.name, len(numbers), first.loader, tuple(joint.traces))
            )
    return told[0] if told else None


def frozen_apart(joint: Joint) -> FrozenApart | None:
    """The first frozen module whose parameters have never been the same on all ranks."""
    for rows in _on_all(joint, Frozen):
        looks = [*zip(*(each.values for each in rows), strict=False)]
        if all(len({*each}) > 1 for each in looks):
            moves = all(len({*each.values}) > 1 for each in rows)
            return FrozenApart(rows[0].at, rows[0].name, moves, tuple(joint.traces))
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
