"""Notices an average that is swapped in for an evaluation and stays: the weights that were kept
come back too late, or never, and what was trained since the average is lost each time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import FrameType
from typing import Any

from graphlab.observe.notes import RawBackward, Spot, located
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import storage_key
from graphlab.source.effects.idle.unrestored import SwappedIn, swapped_in
from graphlab.source.files import user_frames
from graphlab.source.places import locate, parse
from graphlab.trace.model import Location
from graphlab.trace.module_sightings import LeftSwappedIn

# How often the training must have gone on with the average, how many lines that write are read, and
# of how many of the calls around one: an average's own method may do it.
ENOUGH, LINES, CALLS = 2, 256, 2


@dataclass(slots=True)
class Swap:
    """A line that swaps an average in. taken: how many steps there had been when it did last;
    storages, parameters: what it wrote then, and the identities of whose memory that was. count:
    how often steps came after it; restored: how many steps there had been when something else
    first wrote there before a step. first: the first parameter's place in the trace."""

    text: SwappedIn
    at: Location
    taken: int = 0
    storages: set[Any] = field(default_factory=set)
    parameters: set[int] = field(default_factory=set)
    count: int = 0
    restored: int | None = None
    first: int | None = None


class LeftIn:
    """Told of each write."""

    def __init__(self, watched: Watched) -> None:
        self._registry, self._files = watched.ledger.registry, watched.files
        self._swaps: dict[Spot, Swap | None] = {}
        self._live: list[Swap] = []
        # By the storage: the identity of a parameter, and its place in the trace.
        self._owners: dict[Any, tuple[int, int]] = {}
        watched.log.on_write.append(self._wrote)

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing: the writes are seen."""

    def _wrote(self, tensors: Sequence[Any], spot: Spot | None, by: str, frame: FrameType) -> None:
        taken = self._registry.taken()
        if spot is None or not taken:
            return
        if spot not in self._swaps:
            if len(self._swaps) >= LINES:
                return
            self._swaps[spot] = self._read(located(spot), frame)
            self._live = [each for each in self._swaps.values() if each is not None]
        if not self._live:
            return
        mine = self._swaps[spot]
        for each in self._live:
            if each is not mine and any(_over(each, one, by) for one in tensors):
                self._end(each, taken)
                if each.storages and each.restored is None:
                    each.restored = taken
        if mine is not None:
            self._end(mine, taken)
            if not mine.storages:
                self._look()
            keys = {storage_key(each) for each in tensors}
            known = [self._owners[key] for key in keys if key in self._owners]
            mine.taken = taken
            mine.storages |= keys
            mine.parameters |= {*map(id, tensors), *(identity for identity, _ in known)}
            if mine.first is None and known:
                mine.first = known[0][1]

    def _read(self, at: Location | None, frame: FrameType) -> Swap | None:
        around = islice(user_frames(frame, self._files), 1, CALLS)
        lines = [at] if at is not None else []
        for at in (*lines, *(locate(each.f_code, each.f_lasti) for each in around)):
            found = swapped_in(parse(at.file), at.line)
            if found is not None:
                return Swap(found, at)
        return None

    def _look(self) -> None:
        """At the parameters that optimizers have, as an average begins to go in."""
        place = self._registry.place_of
        tracked = [each for each, _ in self._registry.tracked()]
        self._owners = {storage_key(each): (id(each), place(each, None)) for each in tracked}

    @staticmethod
    def _end(swap: Swap, taken: int) -> None:
        """Count the last time, if steps have come since."""
        if swap.storages and taken > swap.taken:
            swap.count += 1
            swap.storages, swap.parameters = set(), set()

    def found(self) -> Iterator[LeftSwappedIn]:
        taken = self._registry.taken()
        for each in self._swaps.values():
            # What is put back when the training is over helps it no more.
            if each is None or each.first is None or taken > (each.restored or taken):
                continue
            count = each.count + (bool(each.storages) and taken > each.taken)
            if count >= ENOUGH:
                text = each.text
                yield LeftSwappedIn(each.at, each.first, text.average, text.kept, count)


def _over(swap: Swap, tensor: Any, by: str) -> bool:
    """Whether a write may have taken out what was swapped in: a module that is moved to where it
    is has its own memory again."""
    inside = storage_key(tensor) in swap.storages
    return not inside and id(tensor) in swap.parameters if by == ".data = …" else inside
