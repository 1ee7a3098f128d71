"""Compares one entry of the same step over the ranks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graphlab.trace.ranks.sightings import GradientWrite, RankStep


def unlike(rows: list[RankStep], column: Callable[[RankStep], Sequence[str]]) -> list[int]:
    """Where the ranks' entries differ."""
    entries = zip(*(column(row) for row in rows), strict=False)
    return [at for at, each in enumerate(entries) if len(set(each)) > 1]


def apart_in_groups(rows: list[RankStep], column: Callable[[RankStep], Sequence[str]]) -> list[int]:
    """The parameters of which an entry differs among ranks that are to hold the same one: where
    the program averages a gradient over a group, they are those of the group."""
    found: list[int] = []
    for at, entries in enumerate(zip(*(column(row) for row in rows), strict=False)):
        groups: dict[tuple[int, ...], set[str]] = {}
        for row, entry in zip(rows, entries, strict=True):
            groups.setdefault(row.groups[at] if row.groups else (), set()).add(entry)
        if any(len(each) > 1 for each in groups.values()):
            found.append(at)
    return found


def rewritten(rows: list[RankStep], at: int) -> GradientWrite | None:
    """What wrote to a parameter on every rank since its wrapper had made it the same on all."""
    found = [dict(row.rewritten).get(at) for row in rows]
    first = found[0]
    return first if first is not None and all(each == first for each in found) else None
