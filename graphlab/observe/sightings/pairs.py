"""Finds losses that compare each prediction with every target, or multiply each value with every
weight, as their shapes were broadcast."""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType
from typing import Any, NamedTuple

import torch

from graphlab.observe.graph.walk import output_shape, sequence, slots
from graphlab.observe.notes import RawBackward, Spot, located
from graphlab.observe.sightings.watched import Looks, Watched
from graphlab.observe.tensors import base_of, readable, shape_of
from graphlab.trace.sightings import BroadcastLoss

# How many rows and columns of a difference are looked at.
ROWS = 8
# How far a difference may be from one of a column and a row, in units of its rounding.
ROUNDINGS = 16
_LOSSES = ("MseLossBackward0", "SmoothL1LossBackward0", "HuberLossBackward0")
_UNREDUCED = (
    *_LOSSES, "NllLossBackward0", "BinaryCrossEntropyBackward0",
    "BinaryCrossEntropyWithLogitsBackward0",
)  # fmt: skip
_REDUCED = ("MeanBackward0", "SumBackward0")
_DIFFERENCES = ("SubBackward0", "RsubBackward1")
# What may lie between a product and the mean over it: none of it mixes elements.
_ELEMENTWISE = ("NegBackward0", "MinimumBackward0", "MaximumBackward0", "ClampBackward1")
# What is as large for a difference as for its opposite: so an error is measured, on each pair.
_EVEN = ("PowBackward0", "AbsBackward0", "CoshBackward0")
# What may lie around it: it hands the order of the pairs on, or chooses between measures of one.
_AROUND = ("MulBackward0", "DivBackward0", "NegBackward0", "AddBackward0", "SubBackward0",
           "SqrtBackward0", "LogBackward0", "Log1PBackward0", "WhereBackward0",
           "MaximumBackward0", "MinimumBackward0", "ClampBackward1",
           "ClampMaxBackward0")  # fmt: skip
# Where the program compares the values with each other, all pairs are meant: an energy distance.
_DISTANCES = ("CdistBackward0", "PdistBackward0", "EuclideanDistBackward0")
_SCALES = ("MulBackward0", "DivBackward0", "NegBackward0")
# How many nodes around a difference are gone through, and how many that scale it.
AROUND, SCALED = 24, 4
# What may leave a tensor as it is.
_SAME_SHAPE = ("SqueezeBackward0", "SqueezeBackward1", "ViewBackward0", *_SCALES)
# What makes a column of a row where all pairs are meant.
_MEANT = ("UnsqueezeBackward0", "ExpandBackward0", "RepeatBackward0")


class Pair(NamedTuple):
    """`node` made the pairs, of predictions of this shape; or the products, with weights of the
    shape `weight`."""

    node: Any
    prediction: tuple[int, ...]
    result: tuple[int, ...]
    weight: tuple[int, ...] = ()


class Pairs:
    def __init__(self, watched: Watched) -> None:
        self._log = watched.log
        self._looks = Looks()
        self._found: dict[Spot | None, BroadcastLoss] = {}

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        if not self._looks.due(record, nodes):
            return
        for node in nodes:
            kind = type(node).__name__
            pair = _of_loss(node) if kind in _LOSSES else None
            if kind in _REDUCED and output_shape(node) == ():
                pair = _of_difference(node, nodes) or _of_product(node)
            spot = self._log.line_of(sequence(pair.node)) if pair is not None else None
            if pair is not None and spot is not None:
                self._found[spot] = BroadcastLoss(
                    located(spot),
                    pair.prediction,
                    pair.result,
                    record.call,
                    located(record.spot),
                    pair.weight,
                )

    def found(self) -> Iterator[BroadcastLoss]:
        yield from self._found.values()


def _of_loss(node: Any) -> Pair | None:
    """Of a loss of torch's own, both of whose arguments were expanded: neither has the shape in
    which they are compared."""
    given = {slot.name: slot.data for slot in slots(node) if slot.data is not None}
    both = given.get("self"), given.get("target")
    if any(each is None or not readable(each) for each in both):
        return None
    result, one, other = shape_of(both[0]), *(_repeated(each) for each in both)
    expanded = node.next_functions[0][0]
    if not one or not other or one & other or type(expanded).__name__ != "ExpandBackward0":
        return None
    behind = expanded.next_functions[0][0]
    return Pair(node, output_shape(behind), result) if behind is not None else None


def _repeated(tensor: Any) -> set[int]:
    """The dimensions along which a tensor is one value again and again in one place of memory."""
    strides = torch.Tensor.stride(tensor)
    return {at for at, size in enumerate(shape_of(tensor)) if size > 1 and strides[at] == 0}


def _of_difference(node: Any, nodes: list[Any]) -> Pair | None:
    """Of a mean or a sum over a measure of ``prediction - target``, as its square or Huber's is, of
    all pairs of the two."""
    power = node.next_functions[0][0]
    squared = type(power).__name__ == "PowBackward0" and power._saved_exponent == 2
    for measure in [power] if squared else _measures(power):
        saved = [s.data for s in slots(measure) if s.name in ("self", "other") and not s.stale]
        made = _behind(measure)
        pair = _pair(made) if made is not None else None
        if pair is None or not saved or not _is_outer(saved[0]):
            continue
        if squared or not (_made_a_column(made) or any(_compares(each) for each in nodes)):
            return pair
    return None


def _measures(node: Any) -> Iterator[Any]:
    """The nodes under a reduction that measure an error, whatever lies around them."""
    waiting, seen = [node], 0
    while waiting and seen < AROUND:
        each, seen = waiting.pop(), seen + 1
        kind = type(each).__name__
        if kind in _EVEN and (kind != "PowBackward0" or each._saved_exponent in (2, 4)):
            yield each
        elif (kind == "MaximumBackward0" or _squares(each)) and _behind(each) is not None:
            # The larger of two multiples of one error, as of a quantile.
            yield each
        elif kind in _AROUND:
            waiting += _known(each)


def _squares(node: Any) -> bool:
    """Whether it is ``error * error``."""
    inner = _known(node)
    return type(node).__name__ == "MulBackward0" and len(inner) == 2 and inner[0] is inner[1]


def _behind(measure: Any) -> Any:
    """The difference that a measure was taken of; None if there is none."""
    inner = _known(measure)
    if type(measure).__name__ == "MaximumBackward0":
        found = [_multiple(each) for each in inner]
        same = len(found) == 2 and found[0] is not None and found[0] is found[1]
        return found[0] if same else None
    return _multiple(inner[0]) if len({*map(id, inner)}) == 1 else None


def _multiple(node: Any) -> Any:
    """The difference that a node has a multiple of; None if it is none."""
    for _ in range(SCALED):
        if _pair(node) is not None:
            return node
        inner = _known(node)
        if type(node).__name__ not in _SCALES or len(inner) != 1:
            return None
        node = inner[0]
    return None


def _known(node: Any) -> list[Any]:
    return [each for each, _ in node.next_functions if each is not None]


def _pair(made: Any) -> Pair | None:
    """What a difference compares, if its shape is that of all pairs."""
    if type(made).__name__ not in _DIFFERENCES:
        return None
    # The target has no graph.
    known = [(each, at) for each, at in made.next_functions if each is not None]
    result = output_shape(made)
    if len(known) != 1 or known[0][1] or len(result) != 2 or not 2 < result[0] == result[1]:
        return None
    prediction = known[0][0]
    shape = output_shape(prediction)
    if shape not in ((result[0], 1), (result[0],)) or type(prediction).__name__ in _MEANT:
        return None
    return Pair(made, shape, result)


def _made_a_column(difference: Any) -> bool:
    """Whether a row was viewed as a column, as quantiles are that all samples pull at."""
    (prediction,) = _known(difference)
    kind, inner = type(prediction).__name__, _known(prediction)
    if kind not in ("ViewBackward0", "ReshapeAliasBackward0", "UnsafeViewBackward0") or not inner:
        return kind == "TBackward0"
    shape = output_shape(inner[0])
    return len(shape) < 2 or shape[0] == 1


def _compares(node: Any) -> bool:
    """Whether a node makes pairs of values that both have a graph."""
    kind = type(node).__name__
    if kind in _DISTANCES:
        return True
    if kind not in _DIFFERENCES:
        return False
    result = output_shape(node)
    return len(_known(node)) == 2 and len(result) == 2 and 2 < result[0] == result[1]


def _of_product(node: Any) -> Pair | None:
    """Of a mean or a sum over the products of a row and a column, one of which has no graph: what
    is left of them is the product of the two means."""
    waiting, products = [node.next_functions[0][0]], []
    while waiting and len(products) < ROWS:
        each = waiting.pop()
        kind = type(each).__name__
        if kind == "MulBackward0":
            products.append(each)
        elif kind in _ELEMENTWISE:
            waiting += [behind for behind, _ in each.next_functions if behind is not None]
    found = [pair for each in products if (pair := _outer_product(each)) is not None]
    return min(found, key=lambda pair: sequence(pair.node)) if found else None


def _outer_product(product: Any) -> Pair | None:
    known = [each for each, _ in product.next_functions if each is not None]
    result = output_shape(product)
    if len(known) != 1 or len(result) != 2 or not 2 < result[0] == result[1]:
        return None
    weights = [slot.data for slot in slots(product) if slot.data is not None]
    shape = output_shape(known[0])
    row, column = (result[0],), (result[0], 1)
    if len(weights) != 1 or type(known[0]).__name__ in _MEANT:
        return None
    weight, base = shape_of(weights[0]), base_of(weights[0])
    # One that was unsqueezed is a view of a row: it is meant to be a column, but hardly for the
    # losses of single examples, of which no pairs are made.
    view = base is not None and len(shape_of(base)) == 1 and weight == column
    meant = view and not _of_each_example(known[0])
    return (
        Pair(product, shape, result, weight)
        if {shape, weight} == {row, column} and not meant
        else None
    )


def _of_each_example(node: Any) -> bool:
    """Whether it made a loss of torch's that is not reduced yet, or the square of an error."""
    inner = _known(node)
    while len(inner) == 1 and type(node).__name__ in _SAME_SHAPE:
        node, inner = inner[0], _known(inner[0])
    kind = type(node).__name__
    if kind == "PowBackward0":
        return node._saved_exponent == 2 and type(_known(node)[0]).__name__ in _DIFFERENCES
    return kind in _UNREDUCED


def _is_outer(difference: Any) -> bool:
    """Whether a matrix is a column less a row: any two of its rows are the same number apart in
    each column. A target that is a matrix of its own is not."""
    if not readable(difference) or not difference.is_floating_point() or difference.is_sparse:
        return False
    part = difference.detach()[:ROWS, :ROWS].double()
    apart = part - part[:1] - part[:, :1] + part[:1, :1]
    scale = torch.finfo(difference.dtype).eps * float(part.abs().max())
    varies = float((part[0] - part[0, 0]).abs().max()) > ROUNDINGS * scale
    return varies and float(apart.abs().max()) <= ROUNDINGS * scale
