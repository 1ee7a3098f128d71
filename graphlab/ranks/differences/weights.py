"""Compares by how many elements the ranks have divided the same losses."""

from __future__ import annotations

import math
from collections import defaultdict

from graphlab.language import message
from graphlab.trace.ranks.joint import Joint
from graphlab.trace.ranks.sightings import DividedLoss, LossTerm, Unequal
from graphlab.trace.values import Location

# A loss, by its line and the iteration, on each rank.
_Losses = dict[int, DividedLoss]
# What one rank's element may weigh more than another's without a word, and how often it must be
# seen: the last batch of an epoch may well be a smaller one.
RATIO, OFTEN = 1.5, 2


def unequal(joint: Joint) -> Unequal | None:
    """The first loss that most iterations divide by numbers that differ between the ranks, if no
    other number evens that out."""
    seen: dict[tuple[Location, int], list[_Losses]] = defaultdict(list)
    found: dict[tuple[Location, int], list[tuple[_Losses, float]]] = defaultdict(list)
    for losses in _same_losses(joint):
        for index, terms in enumerate(zip(*(each.terms for each in losses.values()), strict=True)):
            at = _divided_at(terms)
            if at is None:
                continue
            counts = [math.prod(each.count for each in term.divisors) for term in terms]
            ratio = max(counts) / min(counts) if min(counts) else math.inf
            seen[at, index].append(losses)
            if ratio >= RATIO and len({f"{term.factor:.6g}" for term in terms}) == 1:
                found[at, index].append((losses, ratio))
    for (at, index), rows in found.items():
        if len(rows) < OFTEN or 2 * len(rows) <= len(seen[at, index]):
            continue
        losses, ratio = rows[0]
        if not math.isfinite(ratio):
            continue
        first = next(iter(losses.values()))
        counts = tuple(
            message("ranks.of_rank", rank=rank, text=str(math.prod(d.count for d in divisors)))
            for rank, each in losses.items()
            if (divisors := each.terms[index].divisors)
        )
        return Unequal(first.at, first.call, first.loss, first.iteration, at, counts, ratio)
    return None


def _same_losses(joint: Joint) -> list[_Losses]:
    """The losses of the same line and iteration on all ranks, with as many terms."""
    table: dict[tuple[str, int, int], _Losses] = defaultdict(dict)
    for rank, trace in joint.traces.items():
        for each in trace.sightings:
            if isinstance(each, DividedLoss) and each.at is not None:
                table[each.at.file, each.at.line, each.iteration].setdefault(rank, each)
    return [
        losses
        for losses in table.values()
        if len(losses) == len(joint.traces)
        and len({len(each.terms) for each in losses.values()}) == 1
    ]


def _divided_at(terms: tuple[LossTerm, ...]) -> Location | None:
    """The line of the divisor that differs, or of the first; None where the ranks have divided in
    different lines."""
    places = {tuple(each.at for each in term.divisors) for term in terms}
    if len(places) != 1:
        return None
    for divisors in zip(*(term.divisors for term in terms), strict=True):
        if len({each.count for each in divisors}) > 1:
            return divisors[0].at
    return terms[0].divisors[0].at
