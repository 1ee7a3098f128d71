"""Finds ``x + (q - x)``, whose difference was to be detached: the two gradients of x cancel."""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType
from typing import Any

from graphlab.observe.graph.walk import saved_number, sequence, walk
from graphlab.observe.notes import RawBackward, located
from graphlab.observe.sightings.watched import Looks, Watched
from graphlab.source.effects.straight import straight_in
from graphlab.source.objects import class_name
from graphlab.source.places import place, statement_at
from graphlab.trace.sightings import StraightCancelled
from graphlab.trace.values import Location

# A graph larger than this is not searched for what made what.
_LARGE = 5_000


class StraightThrough:
    """Asked of a sum whose one summand is a difference, and whose other one is taken off there."""

    def __init__(self, watched: Watched) -> None:
        self._log = watched.log
        self._looks = Looks()
        self._found: dict[Location, StraightCancelled] = {}

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        if record.is_grad or not self._looks.due(record, nodes):
            return
        for node in nodes:
            if class_name(node) == "AddBackward0" and len(node.next_functions) == 2:
                for at, other in (0, 1), (1, 0):
                    self._look(node, node.next_functions[at], node.next_functions[other])

    def _look(self, node: Any, kept: tuple[Any, int], added: tuple[Any, int]) -> None:
        difference = added[0]
        if class_name(difference) != "SubBackward0" or kept[0] is None:
            return
        given, taken = difference.next_functions
        if taken != kept or given == kept or not _whole(node) or not _whole(difference):
            return
        # What is taken off may be a mean of the other one, which is put back afterwards.
        if given[0] is not None and given[0] in walk([kept[0]], _LARGE):
            return
        at = located(self._log.line_of(sequence(difference)))
        statement = statement_at(at.file, at.line) if at is not None else None
        told = straight_in(statement) if statement is not None else None
        if at is not None and told is not None:
            here = place(told.difference, at.file, at.function)
            self._found[here] = StraightCancelled(here, told.kept, told.given)

    def found(self) -> Iterator[StraightCancelled]:
        yield from self._found.values()


def _whole(node: Any) -> bool:
    """Whether the second operand counts once."""
    return saved_number(node, "alpha") == 1
