"""Finds networks that are trained through what their own loss takes as a number: the bootstrapped
target of a value, the advantage that weighs log-probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType
from typing import Any, Literal

from graphlab.observe.graph.walk import leaf_of, sequence, walk
from graphlab.observe.notes import RawBackward, located
from graphlab.observe.sightings.watched import Looks, Watched
from graphlab.source.effects.bootstraps import said_to_be_advantage, target_in, weight_in
from graphlab.source.objects import class_name
from graphlab.source.places import statement_at
from graphlab.trace.module_sightings import TrainedAsNumber
from graphlab.trace.values import Location

_LOSSES = ("MseLossBackward0", "SmoothL1LossBackward0", "HuberLossBackward0", "L1LossBackward0")
# What hands on each element as it is.
_VIEWS = ("ViewBackward0", "ReshapeAliasBackward0", "UnsafeViewBackward0", "SqueezeBackward0",
          "SqueezeBackward1", "UnsqueezeBackward0", "CloneBackward0", "ToCopyBackward0",
          "ExpandBackward0", "TBackward0")  # fmt: skip
_DEEP = 4
# So many writes into one target are gone through.
_WRITES = 64
# A graph larger than this is not searched for its leaves.
_LARGE = 5_000


class TrainedTargets:
    """Asked of a loss with a graph on both sides, and of a product with one on both."""

    def __init__(self, watched: Watched) -> None:
        self._log, self._table = watched.log, watched.table
        self._looks = Looks()
        self._found: dict[Location, TrainedAsNumber] = {}

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        if not self._looks.due(record, nodes):
            return
        for node in nodes:
            kind = class_name(node)
            if kind in _LOSSES:
                self._of_loss(record, node, _both(node))
            elif kind == "PowBackward0" and node._saved_exponent == 2:
                inner = node.next_functions[0][0]
                if class_name(inner) == "SubBackward0":
                    self._of_loss(record, inner, _both(inner))
            elif kind == "MulBackward0":
                self._of_product(record, node, _both(node))

    def _of_loss(self, record: RawBackward, node: Any, both: tuple[Any, Any] | None) -> None:
        pairs = (both, both[::-1]) if both is not None else ()
        for added, other in ((each, other) for side, other in pairs for each in _written(side)):
            value = _one_known(added) if class_name(added) == "AddBackward0" else None
            # One summand is a number; the other one is scaled by numbers.
            if class_name(value) != "MulBackward0" or _one_known(value) is None:
                continue
            # One network has made both, or a copy of it, which a step then trains as well; the
            # derivative of a network has not all of its parameters.
            shared, online = _leaves(value), _leaves(other)
            if shared != online and (shared & online or _shapes(shared) != _shapes(online)):
                continue
            at = located(self._log.line_of(sequence(added)))
            statement = statement_at(at.file, at.line) if at is not None else None
            if shared and statement is not None and target_in(statement) is not None:
                self._note(record, "target" if shared == online else "copy", at, shared)

    def _of_product(self, record: RawBackward, node: Any, both: tuple[Any, Any] | None) -> None:
        at = located(self._log.line_of(sequence(node))) if both is not None else None
        statement = statement_at(at.file, at.line) if at is not None else None
        weight = weight_in(statement) if statement is not None else None
        if weight is None or both is None:
            return
        named, index = weight
        difference = _through(both[index])
        if _is_difference(difference):
            self._note(record, "advantage", at, _leaves(difference.next_functions[1][0]))
        elif said_to_be_advantage(named):
            # A library may compute it in many steps; the policy itself is not its critic.
            self._note(record, "advantage", at, _leaves(both[index]) - _leaves(both[1 - index]))

    def _note(
        self,
        record: RawBackward,
        what: Literal["target", "copy", "advantage"],
        at: Location | None,
        leaves: set[Any],
    ) -> None:
        places = sorted(
            place for each in leaves if (place := self._table.place_of(each.variable)) is not None
        )
        if at is not None and places and at not in self._found:
            self._found[at] = TrainedAsNumber(
                at, what, record.loss, record.call, located(record.spot), tuple(places)
            )

    def found(self) -> Iterator[TrainedAsNumber]:
        yield from self._found.values()


def _shapes(leaves: set[Any]) -> list[tuple[int, ...]]:
    return sorted(tuple(map(int, each.variable.shape)) for each in leaves)


def _both(node: Any) -> tuple[Any, Any] | None:
    """What made the two operands, where both have a graph and are not one."""
    given = [each for each, _ in node.next_functions[:2]]
    both = len(given) == 2 and None not in given and given[0] is not given[1]
    return (given[0], given[1]) if both else None


def _through(node: Any) -> Any:
    """The node behind views and copies."""
    for _ in range(_DEEP):
        if class_name(node) == "WhereBackward0" and _one_known(node) is not None:
            # Where an episode is over, the reward alone.
            node = _one_known(node)
            continue
        if class_name(node) not in _VIEWS:
            break
        node = node.next_functions[0][0]
    return node


def _written(node: Any) -> Iterator[Any]:
    """What made a target: the node behind views, or those of what was written into a copy."""
    node = _through(node)
    if class_name(node) != "CopySlices":
        yield node
    for _ in range(_WRITES):
        if class_name(node) != "CopySlices":
            break
        base, *values = (each for each, _ in node.next_functions)
        yield from (_through(each) for each in values if each is not None)
        node = base


def _one_known(node: Any) -> Any:
    """The one input with a graph; None if there is none, or more than one."""
    known = [each for each, _ in node.next_functions if each is not None]
    return known[0] if len(known) == 1 else None


def _is_difference(node: Any) -> bool:
    """Whether it is a number less a value with a graph, or a bootstrapped sum less that."""
    if class_name(node) != "SubBackward0" or len(node.next_functions) != 2:
        return False
    minuend, value = (each for each, _ in node.next_functions)
    return value is not None and (minuend is None or class_name(minuend) == "AddBackward0")


def _leaves(node: Any) -> set[Any]:
    """The nodes that add to the parameters behind a node; none of a graph that is too large."""
    nodes = walk([node], _LARGE)
    if len(nodes) >= _LARGE:
        return set()
    return {each for each in nodes if leaf_of(each) is not None}
