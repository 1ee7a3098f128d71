"""Finds critics that the loss of an actor trains as well: to raise what they say of the actor."""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType
from typing import Any

from graphlab.observe.graph.walk import leaf_of, walk
from graphlab.observe.notes import RawBackward, located
from graphlab.observe.sightings.watched import Looks, Watched
from graphlab.source.objects import class_name
from graphlab.trace.module_sightings import TrainedAsNumber

_LOSSES = ("MseLossBackward0", "SmoothL1LossBackward0", "HuberLossBackward0", "PowBackward0")
# What takes means and the like of a critic's output. All of them keep its sign.
_MEANS = ("MeanBackward0", "MeanBackward1", "SumBackward0", "ViewBackward0", "SqueezeBackward0",
          "SqueezeBackward1", "StackBackward0", "CatBackward0", "MinimumBackward0", "MinBackward0",
          "ReshapeAliasBackward0", "UnsqueezeBackward0")  # fmt: skip
_SUMS = ("NegBackward0", "AddBackward0", "SubBackward0", "MulBackward0", "DivBackward0")
_LINEAR = ("AddmmBackward0", "LinearBackward0", "MmBackward0")
# A loss is taken in so many nodes at the most, and its graph is no larger than this.
_DEEP, _LARGE = 12, 5_000


class RaisedCritics:
    """Asked of each backward: what it compares with a target, and whether all it does is to raise
    the output of a network."""

    def __init__(self, watched: Watched) -> None:
        self._table, self._registry = watched.table, watched.ledger.registry
        self._looks = Looks()
        self._compared: set[int] = set()
        self._scored: set[int] = set()
        # By the name of the loss, and what a bonus in it, of entropy say, leads to.
        self._raised: dict[str, tuple[RawBackward, set[int], set[int]]] = {}

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        if record.is_grad or not nodes or not self._looks.due(record, nodes):
            return
        taken = _taken(nodes[0])
        if taken is None:
            compared = [each for each in nodes if class_name(each) in _LOSSES]
            if compared:
                self._compared |= self._places(walk(compared, _LARGE))
                self._scored |= self._places(walk(_summed(nodes[0]), _LARGE))
        elif taken[0] == 1:
            bonus = self._places(walk(taken[1], _LARGE))
            self._raised[record.loss] = record, self._places(nodes), bonus
        elif taken[0] == 0:
            # One of two losses of a GAN's critic, each with a backward of its own.
            self._scored |= self._places(walk(_summed(nodes[0]), _LARGE))

    def _places(self, nodes: list[Any]) -> set[int]:
        """Of the parameters behind some nodes; none of a graph that is too large."""
        leaves = (leaf_of(each) for each in (nodes if len(nodes) < _LARGE else ()))
        places = (self._table.place_of(each) for each in leaves if each is not None)
        return {each for each in places if each is not None}

    def found(self) -> Iterator[TrainedAsNumber]:
        for record, places, bonus in self._raised.values():
            # The loss of a GAN's critic takes its output as it is, beside a penalty.
            critics = sorted(places & self._compared - self._scored - bonus)
            held = [each.owns.keys() for each in self._registry.states]
            own = set[int]().union(*(each for each in held if each & {*critics}))
            # The actor, which it trains, is compared with nothing, and has an optimizer of its own.
            if critics and places - self._compared - own:
                at = located(record.spot)
                yield TrainedAsNumber(at, "critic", record.loss, record.call, at, tuple(critics))


def _summed(root: Any) -> list[Any]:
    """What linear layers gave that is a term of a sum as it is, with either sign."""
    found, nodes = [], [root]
    for _ in range(_LARGE):
        if not nodes:
            break
        node = nodes.pop()
        if class_name(node) in _LINEAR:
            found.append(node)
        elif class_name(node) in (*_MEANS, *_SUMS):
            nodes += [one for one, _ in node.next_functions if one is not None]
    return found


def _taken(root: Any) -> tuple[int, list[Any]] | None:
    """How often a loss is negated that is the mean of what linear layers give, or has that taken
    from a bonus, and the root of this; None where it is something else."""
    nodes, negated, beside = [root], 0, list[Any]()
    for _ in range(_DEEP):
        kinds = {class_name(each) for each in nodes}
        if kinds <= {*_LINEAR}:
            return negated, beside
        if kinds == {"NegBackward0"}:
            negated += 1
        if kinds == {"SubBackward0"} and len(nodes) == 1 and not beside:
            negated += 1
            (bonus, _), (taken, _) = nodes[0].next_functions
            if bonus is None or taken is None:
                return None
            beside, nodes = [bonus], [taken]
            continue
        inner = [each for each in nodes if class_name(each) not in _LINEAR]
        if any(class_name(each) not in (*_MEANS, "NegBackward0") for each in inner):
            return None
        nodes = [each for each in nodes if class_name(each) in _LINEAR]
        nodes += [one for each in inner for one, _ in each.next_functions if one is not None]
    return None
