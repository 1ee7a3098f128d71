"""Reads from a loss's graph by which numbers of elements it was divided, on each rank.

A wrapper averages the gradients of the ranks alike. Where each has divided by a number of its own,
what is averaged weighs the elements of the ranks differently.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch

from graphlab.observe.graph.walk import (
    grad_edge,
    is_function,
    listed,
    operation,
    output_shape,
    sequence,
    slots,
)
from graphlab.observe.names import parameters_of
from graphlab.observe.notes import Log, RawBackward, located
from graphlab.observe.optimizers.ledger import OptimizerLedger
from graphlab.observe.optimizers.vectors import shard_of
from graphlab.observe.sightings.ranks.wrappers import Wrappers
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Unnoticed, count_of, is_tensor, readable
from graphlab.trace.ranks.sightings import DividedLoss, Divisor, LossTerm

# So many of the first backwards that are looked at are kept; so many nodes of each are followed.
KEPT, NODES = 16, 64
# Nodes that pass on one number, or each element, as it is.
_SAME = ("Neg", "View", "UnsafeView", "Reshape", "ReshapeAlias", "Squeeze", "Unsqueeze", "ToCopy",
         "Clone", "Alias")  # fmt: skip
# Losses over elements, which take the mean themselves.
_LOSSES = ("MseLoss", "SmoothL1Loss", "HuberLoss", "BinaryCrossEntropy",
           "BinaryCrossEntropyWithLogits", "SoftMarginLoss")  # fmt: skip
_MEAN = 1


class LossWeights:
    """Is asked at the backwards that are sampled."""

    def __init__(self, watched: Watched, wrappers: Wrappers) -> None:
        self._log, self._ledger = watched.log, watched.ledger
        self._wrappers = wrappers
        self._found: list[DividedLoss] = []
        # The backward that is running, and the summands of its loss.
        self._running: tuple[RawBackward, tuple[LossTerm, ...]] | None = None

    def inspect(self, record: RawBackward, frame: FrameType) -> None:
        if len(self._found) >= KEPT or record.is_grad or record.iteration is None:
            return
        if not self._wrappers.all and not _sharded(self._ledger):
            return
        losses = listed(frame.f_locals.get("tensors"))
        if len(losses) == 1 and is_tensor(losses[0]) and count_of(losses[0]) == 1:
            with Unnoticed():
                root = grad_edge(losses[0])
                terms = tuple(term for term in terms_of(root, self._log) if term.divisors)
            self._running = (record, terms) if terms else None

    def ended(self, record: RawBackward) -> None:
        """What it has reached is known now."""
        running, self._running = self._running, None
        if running is None or running[0] is not record or record.iteration is None:
            return
        if self._wrappers.reached_by(record) or _sharded(self._ledger):
            at = located(record.spot)
            self._found.append(
                DividedLoss(at, record.call, record.loss, record.iteration, running[1])
            )

    def found(self) -> Iterator[DividedLoss]:
        yield from self._found


def _sharded(ledger: OptimizerLedger) -> bool:
    """Whether fully_shard has sharded an optimizer's parameters, which it averages as well."""
    return any(
        shard_of(parameter) is not None
        for _, optimizer in ledger.registry.followed()
        for parameter in parameters_of(optimizer)[:1]
    )


def terms_of(root: Any, log: Log) -> Iterator[LossTerm]:
    """The summands of a loss. A factor stands for every number that is no count of elements: who
    scales a loss by a number of the rank's own may have evened out the weights."""
    stack: list[tuple[Any, tuple[Divisor, ...], float, bool]] = [(root, (), 1.0, False)]
    for _ in range(NODES):
        if not stack:
            return
        node, divisors, factor, summed = stack.pop()
        if node is None:
            continue
        if is_function(node):
            yield LossTerm(divisors, factor)
            continue
        name = operation(node).rstrip("0123456789").removesuffix("Backward")
        inputs = [each for each, _ in node.next_functions]
        if name in _SAME:
            stack.append((inputs[0], divisors, factor, summed))
        elif name in ("Add", "Sub") and not summed:
            stack += [(each, divisors, factor, summed) for each in reversed(inputs)]
        elif name in ("Div", "Mul"):
            own = [each for each in inputs if each is not None]
            number, single = _number(node) if len(own) == 1 else (0.0, False)
            if not number:
                # A product with something else that has a graph.
                yield LossTerm(divisors, factor)
            elif name == "Div" and single and _is_count(number):
                more = Divisor(located(log.line_of(sequence(node))), round(number))
                stack.append((own[0], (*divisors, more), factor, summed))
            else:
                number = 1 / number if name == "Div" else number
                stack.append((own[0], divisors, factor * number, summed))
        elif name == "Sum" and not summed:
            stack.append((inputs[0], divisors, factor, True))
        elif not summed and (count := _counted(node, name)) is not None:
            more = Divisor(located(log.line_of(sequence(node))), count)
            if name == "Mean":
                stack.append((inputs[0], (*divisors, more), factor, True))
            else:
                yield LossTerm((*divisors, more), factor)
        else:
            yield LossTerm(divisors, factor)


def _counted(node: Any, name: str) -> int | None:
    """The number of elements of which a node is the mean. Private: `_saved_*` of a node."""
    if name == "Mean" and not output_shape(node):
        count = getattr(node, "_saved_self_sym_numel", None)
        return int(count) if count is not None else None
    if getattr(node, "_saved_reduction", None) != _MEAN:
        return None
    saved = {each.name: each.data for each in slots(node) if not each.stale}
    if name in _LOSSES and "self" in saved:
        return count_of(saved["self"])
    total = saved.get("total_weight") if "weight" not in saved else None
    if name in ("NllLoss", "NllLoss2D") and total is not None and readable(total):
        return round(float(total.detach()))
    return None


def _number(node: Any) -> tuple[float, bool]:
    """The number by which a node divides, or multiplies, and whether it is a single one. Several,
    such as a mask, are the mean of those that are not zero. 0 where there is none."""
    for each in slots(node):
        if each.name in ("other", "self") and each.data is not None and not each.stale:
            values = each.data.detach()
            if not readable(values) or values.is_complex() or values.layout is not torch.strided:
                break
            single = count_of(values) == 1
            return float(values if single else values[values != 0].double().mean()), single
    return 0.0, False


def _is_count(number: float) -> bool:
    """Also with a small number added, so that it is never zero."""
    return number >= 1 and abs(number - round(number)) <= 1e-4 * number
