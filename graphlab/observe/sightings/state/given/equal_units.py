"""Finds layers that were given one constant as all of their weights: all of their units compute the
same and are trained alike, as one unit would be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any, NamedTuple

from graphlab.observe.notes import RawBackward, RawWrite, Spot, located
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Ref, Unnoticed, readable, shape_of, storage_key
from graphlab.trace.module_sightings import EqualUnits

# At how many compared steps it must have been so, how many parameters of a step are looked at, and
# how large they may be.
ENOUGH, MOST, LARGEST = 4, 64, 1 << 22
# How far apart, of the largest, values and gradients of equal units may be by rounding.
VALUES, GRADIENTS = 1e-4, 1e-3


class Layer(NamedTuple):
    """A parameter and its gradient, with the units as `axis` of it."""

    parameter: Any
    grad: Any
    axis: int


@dataclass(slots=True)
class Pair:
    """A layer of `units` units that were equal at all of `seen` steps, and the layer that reads
    them. moved: a gradient was not zero; zeros: all weights were, at the last one; place: that of
    the first in the table of tensors; spot: what wrote the weights last before the training."""

    first: Ref
    second: Ref
    units: int
    spot: Spot | None
    by: str
    seen: int = 0
    moved: bool = False
    zeros: bool = False
    place: int | None = None


class EqualUnitsWatch:
    """Both sides of the units must be equal: the weights that make them and those that read them,
    in their values and their gradients. Units with anything of their own part for good, so that a
    layer which was not equal once is not looked at again."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        # By the identity of the first parameter; None where its units are not equal.
        self._known: dict[int, tuple[Ref, Pair | None]] = {}
        watched.ledger.on_compared_step.append(self._on_step)

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing: it is the steps that are looked at."""

    def _on_step(self, parameters: list[Any], grads: list[Any]) -> None:
        with Unnoticed():
            given = [*zip(parameters, grads, strict=True)][:MOST]
            for parameter, grad in given:
                known = self._known.get(id(parameter))
                if known is None or known[0]() is not parameter:
                    pair = self._begun(parameter, grad, given)
                    self._known[id(parameter)] = Ref(parameter), pair
                elif known[1] is not None and not self._still(known[1], given):
                    self._known[id(parameter)] = known[0], None

    def _begun(self, parameter: Any, grad: Any, given: list[tuple[Any, Any]]) -> Pair | None:
        for layer in _layers(parameter, grad):
            units = shape_of(parameter)[layer.axis]
            if units < 2 or not _equal(layer, units):
                continue
            for other, its_grad in given:
                if other is parameter or self._reads_it_already(other, parameter):
                    continue
                for reader in _layers(other, its_grad):
                    if reader.axis != layer.axis and _reads(reader, units):
                        spot, by = self._written(parameter)
                        pair = Pair(Ref(parameter), Ref(other), units, spot, by)
                        return pair if self._still(pair, given) else None
        return None

    def _reads_it_already(self, other: Any, parameter: Any) -> bool:
        """Whether `parameter` reads the units of `other`, which looks alike backwards."""
        pair = self._known.get(id(other), (None, None))[1]
        return pair is not None and pair.first() is other and pair.second() is parameter

    def _still(self, pair: Pair, given: list[tuple[Any, Any]]) -> bool:
        grads = {id(each): grad for each, grad in given}
        first, second = pair.first(), pair.second()
        if first is None or second is None or id(first) not in grads or id(second) not in grads:
            return False
        for layer in _layers(first, grads[id(first)]):
            for reader in _layers(second, grads[id(second)]):
                apart = reader.axis != layer.axis
                if apart and _equal(layer, pair.units) and _reads(reader, pair.units):
                    pair.seen += 1
                    pair.moved = pair.moved or bool(layer.grad.any()) or bool(reader.grad.any())
                    pair.zeros = not layer.parameter.any() and not reader.parameter.any()
                    # The function that has trained them may have returned at the end.
                    pair.place = self._watched.table.place_of(first)
                    return True
        return False

    def _written(self, parameter: Any) -> tuple[Spot | None, str]:
        key = storage_key(parameter)
        for event in reversed(self._watched.log.events):
            if isinstance(event, RawWrite) and any(each[0] == key for each in event.tensors):
                return event.spot, event.by
        return None, ""

    def found(self) -> Iterator[EqualUnits]:
        told: dict[tuple[Spot | None, bool], list[Pair]] = {}
        for _, pair in self._known.values():
            if pair is None or pair.seen < ENOUGH or pair.place is None:
                continue
            if pair.moved or pair.zeros:
                told.setdefault((pair.spot, not pair.moved), []).append(pair)
        for (spot, zeros), pairs in told.items():
            first, places = pairs[0], tuple(each.place for each in pairs if each.place is not None)
            yield EqualUnits(located(spot), first.by, places, first.units, zeros)


def _layers(parameter: Any, grad: Any) -> Iterator[Layer]:
    """The ways in which a parameter may hold units: a row each, as torch's layers do, or a column
    each, in a product ``x @ w``."""
    shape = shape_of(parameter)
    if len(shape) < 2 or 0 in shape or grad is None or shape_of(grad) != shape:
        return
    if not readable(parameter) or not readable(grad) or parameter.numel() > LARGEST:
        return
    if not grad.is_sparse and not parameter.is_complex():
        yield Layer(parameter.detach(), grad.detach(), 0)
        yield Layer(parameter.detach(), grad.detach(), 1)


def _equal(layer: Layer, units: int) -> bool:
    """Whether each of its units has the same values and the same gradient."""
    if layer.parameter.shape[layer.axis] != units:
        return False
    return _alike(layer.parameter.movedim(layer.axis, 0), VALUES) and _alike(
        layer.grad.movedim(layer.axis, 0), GRADIENTS
    )


def _reads(reader: Layer, units: int) -> bool:
    """Whether it reads each of the units, or the pixels of each, with the same weights."""
    size = reader.parameter.shape[reader.axis]
    if size % units:
        return False
    return all(
        _alike(each.movedim(reader.axis, 0).reshape(units, -1), most)
        for each, most in ((reader.parameter, VALUES), (reader.grad, GRADIENTS))
    )


def _alike(values: Any, most: float) -> bool:
    # Most layers part in the first two.
    first = values[:1]
    for some in (values[:2], values):
        scale = some.abs().amax()
        if not bool(scale.isfinite()) or bool((some - first).abs().amax() > most * scale):
            return False
    return True
