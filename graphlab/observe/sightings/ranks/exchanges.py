"""The order in which a rank communicated, and how the program came to each time."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch

from graphlab.observe.notes import Spot, located
from graphlab.source.files import UserFiles
from graphlab.trace.ranks.sightings import Exchange, Exchanged

# The last so many are kept, each with the lines of so many functions that led to it.
KEPT, LEVELS = 256, 8

# What was called, the program's lines that led there, innermost first, how many elements it was
# given, and the one rank that it was about.
_Raw = tuple[str, tuple[Spot, ...], int, int | None]


class Exchanges:
    """Is told of each as it begins."""

    def __init__(self, files: UserFiles) -> None:
        self._files = files
        self._last: deque[_Raw] = deque(maxlen=KEPT)
        self._count = 0
        # Whether some were among a part of the ranks alone: what the others did meanwhile is no
        # matter then.
        self._parts = False

    def note(self, operation: str, elements: int, peer: int | None, group: Any) -> None:
        spots: list[Spot] = []
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and len(spots) < LEVELS:
            if frame.f_code in self._files:
                spots.append((frame.f_code, frame.f_lasti))
            frame = frame.f_back
        self._last.append((operation, tuple(spots), elements, peer))
        self._count += 1
        world = size_of(None)
        self._parts = self._parts or (world is not None and size_of(group) != world)

    def found(self) -> Iterator[Exchanged]:
        kinds: dict[_Raw, int] = {}
        order = [kinds.setdefault(each, len(kinds)) for each in self._last]
        calls = tuple(
            Exchange(
                operation, elements, peer,
                tuple(at for spot in reversed(spots) if (at := located(spot)) is not None),
            )
            for operation, spots, elements, peer in kinds
        )  # fmt: skip
        if order and not self._parts:
            yield Exchanged(None, self._count - len(order), calls, tuple(order))


def size_of(group: Any) -> int | None:
    """How many ranks are in a group, as far as one can tell, 0 of one that this rank is not in; no
    group stands for all."""
    if not torch.distributed.is_initialized():
        return None
    if group is None:
        return torch.distributed.get_world_size()
    if group == torch.distributed.GroupMember.NON_GROUP_MEMBER:
        return 0
    if type(group) is tuple and len(group) == 2 and type(group[0]).__module__.startswith("torch"):
        # A device mesh, and one of its dimensions.
        return group[0].size(group[1])
    size = getattr(group, "size", None) if type(group).__module__.startswith("torch") else None
    found = size() if callable(size) else None
    return found if type(found) is int else None
