"""Finds statements that ran and threw away what they had computed of a tensor."""

from __future__ import annotations

from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

import torch

from graphlab.observe.notes import RawBackward
from graphlab.observe.sightings.watched import Watched
from graphlab.source.effects.discarded import discarded
from graphlab.trace.sightings import ResultDiscarded


class DiscardedResults:
    """A function that made a node of a graph has run, and what stands under no condition in it."""

    def __init__(self, watched: Watched) -> None:
        self._log, self._files = watched.log, watched.files
        self._ran: set[CodeType] = set()

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing: the functions are asked for at the end."""

    def found(self) -> Iterator[ResultDiscarded]:
        self._ran |= {code for _, code, _, _ in self._log.marks if code is not None}
        lines: dict[str, set[int]] = {}
        for code in self._ran:
            if code in self._files:
                first = 0 if code.co_name == "<module>" else code.co_firstlineno
                lines.setdefault(code.co_filename, set()).add(first)
        for file, ran in lines.items():
            for each in discarded(file, _writes):
                if each.first in ran:
                    yield ResultDiscarded(each.at, each.call, each.written)


def _writes(name: str) -> bool:
    return callable(getattr(torch.Tensor, f"{name}_", None))
