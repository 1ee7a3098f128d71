"""Notes by which factors the program itself made elements of a rank's gradients smaller before it
averages them: a clamp, or a clipping by the norm of each part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from graphlab.observe.names import parameters_of
from graphlab.observe.notes import RawBackward, RawWrite, Spot, located
from graphlab.observe.sightings.ranks.collectives import Collectives
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import Unnoticed, count_of, grad_of, readable, storage_key
from graphlab.source.wording import call_text, written_by
from graphlab.trace.ranks.updates import ClippedPart

# So many elements of so many gradients are looked at, before so many steps.
ELEMENTS, GRADIENTS, PARTS = 8, 16, 16
# What is no factor, as of a gradient of zero; and by how much one may be off.
UNKNOWN, ROUNDING = -1.0, 1e-3


@dataclass(slots=True)
class _Left:
    """Elements of an optimizer's gradients as the backward `record` left them; and then by which
    factors they were written since, in the line `spot`, when they were sent."""

    record: RawBackward
    held: list[tuple[Any, Any]]
    factors: tuple[float, ...] = ()
    spot: Spot | None = None
    by: str = ""
    direct: bool = False


class ShrunkGradients:
    """Is told of backwards, of the collectives that send gradients, and of the steps."""

    def __init__(self, watched: Watched, collectives: Collectives) -> None:
        self._log, self._registry = watched.log, watched.ledger.registry
        self._left: dict[int, _Left] = {}
        self._parts: list[ClippedPart] = []
        collectives.on_sending.append(self._sent)

    def ended(self, record: RawBackward, state: Any, optimizer: Any) -> None:
        """A backward has ended, and a step of the optimizer that is compared comes next."""
        held = [each for each in parameters_of(optimizer) if readable(grad_of(each))]
        if len(self._parts) < PARTS:
            with Unnoticed(), torch.no_grad():
                values = [(each, _sample(grad_of(each))) for each in held[:GRADIENTS]]
            self._left[state.at] = _Left(record, values)

    def _sent(self, operand: Any) -> None:
        """A collective is about to send `operand`."""
        for state, optimizer in self._registry.followed():
            left = self._left.get(state.at)
            if left is None or left.factors:
                continue
            grads = [grad for each in parameters_of(optimizer) if readable(grad := grad_of(each))]
            keys = {storage_key(each) for each in grads}
            whole = count_of(operand) == sum(map(count_of, grads))
            if storage_key(operand) in keys or whole:
                write = self._written(left.record, keys)
                if write is None:
                    del self._left[state.at]
                    continue
                left.spot, left.by, left.direct = write.spot, write.by, write.direct
                with Unnoticed(), torch.no_grad():
                    left.factors = tuple(_factors(left.held))

    def _written(self, record: RawBackward, keys: set[Any]) -> RawWrite | None:
        """What wrote last to the gradients since the backward, if anything did."""
        for raw in reversed(self._log.events):
            if raw is record:
                return None
            if isinstance(raw, RawWrite) and any(each[0] in keys for each in raw.tensors):
                return raw
        return None

    def stepping(self, state: Any, iteration: int | None, averaged: Spot | None) -> None:
        """A sampled step is about to apply what the program averaged in the line `averaged`."""
        left = self._left.pop(state.at, None)
        if left is None or averaged is None or left.spot is None or not _smaller(left.factors):
            return
        known = [each for each in left.factors if each != UNKNOWN]
        at, mean = located(left.spot), located(averaged)
        self._parts.append(
            ClippedPart(
                located(state.last_spot),
                state.at,
                state.steps,
                iteration,
                sum(known) / len(known),
                at,
                # Inside of what torch calls, it is the program's call that counts.
                written_by(at, left.by, True) if left.direct else call_text(at, left.by)[0],
                mean,
                call_text(mean, "all_reduce")[0],
                left.factors,
            )
        )

    def found(self) -> Iterator[ClippedPart]:
        yield from self._parts


def _sample(grad: Any) -> Any:
    flat = grad.detach().reshape(-1)
    return flat[:: max(1, count_of(flat) // ELEMENTS)][:ELEMENTS].clone()


def _factors(held: list[tuple[Any, Any]]) -> Iterator[float]:
    for parameter, before in held:
        grad = grad_of(parameter)
        after = _sample(grad) if readable(grad) else before.new_full(before.shape, float("nan"))
        for one, other in zip(before.tolist(), after.tolist(), strict=True):
            factor = other / one if one else UNKNOWN
            yield factor if factor == factor else UNKNOWN


def _smaller(factors: tuple[float, ...]) -> bool:
    """Whether nothing was made larger, or given another sign: who adds noise does that."""
    known = [each for each in factors if each != UNKNOWN]
    return bool(known) and all(0 <= each <= 1 + ROUNDING for each in known)
