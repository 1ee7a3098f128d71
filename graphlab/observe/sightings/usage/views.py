"""Notices scores (batch, length, classes) that are viewed as (batch, classes, length) for a loss,
which does not transpose them."""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType
from typing import Any

from graphlab.observe.graph.walk import output_shape, sequence
from graphlab.observe.notes import RawBackward, Spot, located
from graphlab.observe.sightings.watched import Looks, Watched
from graphlab.trace.sightings import ScoresMixed

_LOSSES = ("NllLossBackward0", "NllLoss2DBackward0")
_VIEWS = ("ViewBackward0", "UnsafeViewBackward0", "ReshapeAliasBackward0")
_FLAT = (*_VIEWS, "UnsqueezeBackward0", "SqueezeBackward1")
# What gives rows of features: those of a Linear lie beside each other in memory.
_PRODUCTS = ("AddmmBackward0", "MmBackward0")


class ScoresViewed:
    def __init__(self, watched: Watched) -> None:
        self._log = watched.log
        self._looks = Looks()
        self._found: dict[Spot | None, ScoresMixed] = {}

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        if not self._looks.due(record, nodes):
            return
        for node in nodes:
            found = _mixed(node) if type(node).__name__ in _LOSSES else None
            if found is None:
                continue
            view, before, after = found
            spot = self._log.line_of(sequence(view))
            if spot is not None and spot not in self._found:
                self._found[spot] = ScoresMixed(
                    located(spot), before, after, record.call, located(record.spot)
                )

    def found(self) -> Iterator[ScoresMixed]:
        yield from self._found.values()


def _mixed(loss: Any) -> tuple[Any, tuple[int, ...], tuple[int, ...]] | None:
    """The view behind the log_softmax of a loss, with the shapes before and after it."""
    node = _source(loss)
    while type(node).__name__ in _FLAT:
        node = _source(node)
    if type(node).__name__ != "LogSoftmaxBackward0" or node._saved_dim != 1:
        return None
    view = _source(node)
    scores = _source(view)
    # The bias is added by itself where the features lie apart in memory.
    rows = _source(scores) if type(scores).__name__ == "AddBackward0" else scores
    if type(view).__name__ not in _VIEWS or type(rows).__name__ not in _VIEWS:
        return None
    before, after = output_shape(scores), output_shape(view)
    if len(before) != 3 or len(after) != 3 or before != (after[0], after[2], after[1]):
        return None
    # Of equal sizes it cannot be told, and of a size of 1 there is nothing to mix.
    length, classes = before[1], before[2]
    product = _source(rows)
    if length == classes or 1 in (length, classes) or type(product).__name__ not in _PRODUCTS:
        return None
    return (view, before, after) if output_shape(product)[-1] == classes else None


def _source(node: Any) -> Any:
    return node.next_functions[0][0] if node is not None and node.next_functions else None
