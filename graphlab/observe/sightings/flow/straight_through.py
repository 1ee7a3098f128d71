"""Finds ``x + (q - x)``, whose difference was to be detached: the two gradients of x cancel. As do
those of a parameter and of a copy of it that was kept with its graph."""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType
from typing import Any

from graphlab.observe.graph.walk import leaf_of, saved_number, sequence, walk
from graphlab.observe.notes import RawBackward, located
from graphlab.observe.sightings.watched import Looks, Watched
from graphlab.source.effects.straight import straight_in
from graphlab.source.objects import class_name
from graphlab.source.places import place, statement_at
from graphlab.trace.functions.sightings import CopyCancelled
from graphlab.trace.sightings import StraightCancelled
from graphlab.trace.values import Location

# What copies a tensor, and how many of these are followed.
_COPIES, _FAR = ("CloneBackward0", "ToCopyBackward0", "AliasBackward0"), 4
# A graph larger than this is not searched for what made what.
_LARGE = 5_000


class StraightThrough:
    """Asked of a sum whose one summand is a difference, and whose other one is taken off there."""

    def __init__(self, watched: Watched) -> None:
        self._log, self._table = watched.log, watched.table
        # Where the last backward began: what is older was kept over it.
        self._last = 0
        self._copies: dict[Location | None, CopyCancelled] = {}
        self._looks = Looks()
        self._found: dict[Location, StraightCancelled] = {}

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        last, self._last = self._last, record.seq
        if record.is_grad or not self._looks.due(record, nodes):
            return
        for node in nodes:
            if class_name(node) == "SubBackward0":
                self._look_at_copy(node, last)
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

    def _look_at_copy(self, node: Any, last: int) -> None:
        """Whether a parameter's own copy is taken off it, and both have their graph."""
        (one, _), (other, _) = (_copied(each) for each, _ in node.next_functions)
        leaf = leaf_of(one) if one is not None and one is other and _whole(node) else None
        copies = [copy for _, copy in (_copied(each) for each, _ in node.next_functions) if copy]
        if leaf is None or len(copies) != 1 or sequence(copies[0]) >= last:
            return
        place = self._table.place_of(leaf)
        at = located(self._log.line_of(sequence(copies[0])))
        if place is not None and at is not None and at not in self._copies:
            used = located(self._log.line_of(sequence(node)))
            self._copies[at] = CopyCancelled(at, place, used)

    def found(self) -> Iterator[StraightCancelled | CopyCancelled]:
        yield from self._found.values()
        yield from self._copies.values()


def _copied(node: Any) -> tuple[Any, Any]:
    """What a tensor is a copy of, and the node that copied it, if any did."""
    copy = None
    for _ in range(_FAR):
        if node is None or class_name(node) not in _COPIES:
            break
        copy, node = copy or node, node.next_functions[0][0]
    return node, copy


def _whole(node: Any) -> bool:
    """Whether the second operand counts once."""
    return saved_number(node, "alpha") == 1
