"""Finds gradients that a program sums over the ranks in each micro-batch of an accumulation, and so
sums what it has summed before once more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graphlab.observe.notes import Log, RawBackward, RawStep, RawWrite, RawZero, Spot, located
from graphlab.observe.sightings.ranks.collectives import Collectives
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import storage_key
from graphlab.source.wording import call_text
from graphlab.trace.ranks.sightings import NotAveraged, Source


class RepeatedSums:
    """Looks back from the steps that are compared."""

    def __init__(self, watched: Watched, collectives: Collectives) -> None:
        self._log, self._collectives = watched.log, collectives
        self._found: dict[int, NotAveraged] = {}

    def stepping(
        self, state: Any, iteration: int | None, grads: list[Any], places: list[int]
    ) -> None:
        """A sampled step is about to apply `grads`, of the parameters at `places`."""
        if state.at in self._found:
            return
        again = _summed_again(self._log, {*map(storage_key, grads)} - {None})
        kept = [
            (place, *again[key])
            for place, grad in zip(places, grads, strict=True)
            if (key := storage_key(grad)) in again and again[key][0] in self._collectives.summing
        ]
        if kept:
            _, spot, record = kept[0]
            at = located(spot)
            source = Source(
                located(record.spot), record.call, "again", at, call_text(at, "all_reduce")[0]
            )
            self._found[state.at] = NotAveraged(
                located(state.last_spot), state.at, iteration, tuple(each[0] for each in kept),
                source, (),
            )  # fmt: skip

    def found(self) -> Iterator[NotAveraged]:
        yield from self._found.values()


def _summed_again(log: Log, keys: set[Any]) -> dict[Any, tuple[Spot, RawBackward]]:
    """Of the memories of gradients, those that an all_reduce has overwritten since the last step
    before a backward added to them, and after it, and nothing else between; by which line and
    before which backward."""
    last: dict[Any, Spot] = {}
    added: dict[Any, RawBackward] = {}
    found: dict[Any, tuple[Spot, RawBackward]] = {}
    for raw in reversed(log.events):
        if isinstance(raw, RawStep | RawZero):
            break
        if isinstance(raw, RawBackward):
            added.update((key, raw) for key in last if key not in added)
        if not isinstance(raw, RawWrite):
            continue
        for key in {each[0] for each in raw.tensors} & keys:
            if raw.by != "dist.all_reduce" or raw.spot is None:
                # It may have been divided by the number of ranks.
                keys = keys - {key} if key in last else keys
            elif key in added and last[key] == raw.spot:
                found[key] = raw.spot, added[key]
            else:
                last.setdefault(key, raw.spot)
    return {key: each for key, each in found.items() if key in keys}
