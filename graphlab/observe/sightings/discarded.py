"""Finds statements that ran and threw away what they had computed of a tensor."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from types import CodeType, FrameType
from typing import Any

import torch

from graphlab.observe.notes import RawBackward, RawModule
from graphlab.observe.sightings.watched import Watched
from graphlab.source.effects.idle.discarded import discarded
from graphlab.source.effects.idle.rebound import rebound
from graphlab.source.effects.idle.unchanged import Lines, unchanged
from graphlab.source.places import locate
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
        yield from self._without_effect()
        # One that evaluates makes no node, and calls modules.
        spots = (each.spot for each in self._log.events if isinstance(each, RawModule))
        called = self._firsts({spot[0] for spot in spots if spot is not None})
        lines = self._firsts(self._ran)
        for file in {*lines, *called}:
            ran = lines.get(file, set())
            for each in discarded(file, _writes):
                if each.first in ran or (each.idle and each.first in called.get(file, ())):
                    yield ResultDiscarded(each.at, each.call, each.written, idle=each.idle)
            for each in rebound(file):
                if each.first in ran:
                    yield ResultDiscarded(each.at, each.name, each.written, rebound=True)

    def _firsts(self, codes: set[CodeType]) -> dict[str, set[int]]:
        """By file: the first lines of the user's functions among `codes`, 0 for a module."""
        found: dict[str, set[int]] = {}
        for code in codes:
            if code in self._files:
                first = 0 if code.co_name == "<module>" else code.co_firstlineno
                found.setdefault(code.co_filename, set()).add(first)
        return found

    def _without_effect(self) -> Iterator[ResultDiscarded]:
        """Of a tensor with a graph, which a line made and another one went on from: both have made
        nodes."""
        for file in {code.co_filename for code in self._ran if code in self._files}:
            told = unchanged(file)
            lines = self._lines(file, {each.first for each in told}) if told else {}
            for each in told:
                seen = lines.get(each.first, set())
                if _any_of(seen, each.made) and _any_of(seen, each.used):
                    yield ResultDiscarded(each.at, each.call, each.written, stored=True)

    def _lines(self, file: str, firsts: set[int]) -> dict[int, set[int]]:
        """By the first line of a function: the lines that have made nodes."""
        found: dict[int, set[int]] = {}
        marks = [*self._log.marks.unfolded()]
        # Most lines make none: they have the count of the next.
        made = {one[1:3] for one, after in pairwise(marks) if one[0] < after[0]}
        for code, offset in made:
            if code is None or code.co_filename != file:
                continue
            first = 0 if code.co_name == "<module>" else code.co_firstlineno
            if first in firsts:
                found.setdefault(first, set()).add(locate(code, offset).line)
        return found


def _any_of(seen: set[int], spans: tuple[Lines, ...]) -> bool:
    return any(first <= line <= last for first, last in spans for line in seen)


def _writes(name: str) -> bool:
    return callable(getattr(torch.Tensor, f"{name}_", None))
