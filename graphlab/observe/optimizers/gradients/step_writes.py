"""Notes what the steps of one optimizer write, in the memory of one step however many there are.

The counters of most parameters move by the same numbers at each step, so the list of a step is told
by that of an earlier one, by these moves, and by how many steps lie between.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import sub
from typing import Any, overload

import torch

from graphlab.observe.notes import Written
from graphlab.observe.tensors import address_of, byte_span, grad_of, storage_key

# (storage key, first byte, end byte); None without a storage.
Place = tuple[int, int, int] | None
_data_ptr: Any = torch.Tensor.data_ptr
# By `id()`: a metaclass may define `__hash__`.
_PLAIN = {id(torch.Tensor), id(torch.nn.Parameter)}


class Steps:
    """What a run of steps has in common: the parameters' places, the versions before the first, by
    how much each step moves them, the positions of the parameters that are written, and of those
    that are written though their counters do not move."""

    __slots__ = ("at", "base", "moves", "places", "still")

    def __init__(
        self, places: list[Place], base: list[int], moves: list[int], still: list[int]
    ) -> None:
        self.places, self.base, self.moves, self.still = places, base, moves, still
        silent = {*still}
        self.at = [
            at
            for at, (place, move) in enumerate(zip(places, moves, strict=True))
            if place is not None and (move or at in silent)
        ]


class StepWritten(Sequence[Written]):
    """What the step number `count` of some `steps` wrote."""

    __slots__ = ("_count", "_steps")

    def __init__(self, steps: Steps, count: int) -> None:
        self._steps, self._count = steps, count

    def __len__(self) -> int:
        return len(self._steps.at)

    @overload
    def __getitem__(self, index: int) -> Written: ...
    @overload
    def __getitem__(self, index: slice) -> list[Written]: ...
    def __getitem__(self, index: int | slice) -> Written | list[Written]:
        if isinstance(index, slice):
            return [self._one(at) for at in self._steps.at[index]]
        return self._one(self._steps.at[index])

    def __iter__(self) -> Iterator[Written]:
        return map(self._one, self._steps.at)

    def _one(self, at: int) -> Written:
        steps = self._steps
        place, move = steps.places[at], steps.moves[at]
        assert place is not None
        before = steps.base[at] + self._count * move
        return (*place, before, before + move)


class StepWrites:
    """Of one optimizer."""

    def __init__(self) -> None:
        self._addresses: list[int] = []
        self._places: list[Place] = []
        self._steps: Steps | None = None
        self._count = 0
        # The versions that the last step left.
        self._after: list[int] = []

    def note(
        self, parameters: list[Any], before: list[int], after: list[int]
    ) -> tuple[Sequence[Written], bool]:
        """What a step wrote to parameters that had and have these versions, and whether some of it
        moved no counter. A parameter without a gradient whose counter is the same was not
        written."""
        moves = [*map(sub, after, before)]
        places = self._places_of(parameters[: len(moves)])
        still: list[int] = []
        if 0 in moves:
            still = [
                at
                for at, move in enumerate(moves)
                if not move and places[at] is not None and grad_of(parameters[at]) is not None
            ]
        steps = self._steps
        if (
            steps is not None
            and moves == steps.moves
            and before == self._after
            and places is steps.places
            and still == steps.still
        ):
            self._count += 1
        else:
            steps, self._count = Steps(places, before, moves, still), 0
            self._steps = steps
        self._after = after
        return StepWritten(steps, self._count), bool(still)

    def _places_of(self, parameters: list[Any]) -> list[Place]:
        """The memory of each, asked again only where an address is another."""
        addresses, known = _addresses(parameters), self._addresses
        if addresses == known and 0 not in addresses:
            return self._places
        places: list[Place] = []
        for at, address in enumerate(addresses):
            if address and at < len(known) and address == known[at]:
                places.append(self._places[at])
                continue
            key = storage_key(parameters[at])
            places.append(None if key is None else (key, *byte_span(parameters[at])))
        self._addresses = addresses
        if places != self._places:
            self._places = places
        return self._places


def moved(parameters: list[Any], before: Sequence[int], after: list[int]) -> tuple[Written, ...]:
    """The parameters whose counters have moved, as written."""
    return tuple(
        (key, *byte_span(parameter), old, new)
        for parameter, old, new in zip(parameters, before, after, strict=False)
        if new != old and (key := storage_key(parameter)) is not None
    )


def _addresses(parameters: list[Any]) -> list[int]:
    if {*map(id, map(type, parameters))} <= _PLAIN:
        try:
            return [*map(_data_ptr, parameters)]
        except Exception:
            # One of them has no address, as a sparse one has none.
            pass
    return [*map(address_of, parameters)]
