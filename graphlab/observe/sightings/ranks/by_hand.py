"""Gradients that a program averages itself, by collectives of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch

from graphlab.observe.names import parameters_of
from graphlab.observe.notes import Log, RawBackward, RawStep, RawWrite, Spot
from graphlab.observe.optimizers.ledger import OptimizerLedger
from graphlab.observe.tensors import Unnoticed, count_of, grad_fn_of, grad_of, readable, storage_key

# How often a line is asked whether what it averages is a copy of a gradient, and how much is looked
# at.
ASKED, ELEMENTS = 256, 1 << 16
# Between two of these a gradient is what the first has left.
_TURNS = (RawBackward, RawStep)


class AveragedCopies:
    """Finds collectives that average a copy of a gradient, or of all of an optimizer's in a row;
    and those that average the gradients themselves when the step has been made."""

    def __init__(self, ledger: OptimizerLedger, log: Log) -> None:
        self._ledger, self._log = ledger, log
        self._asked: Counter[Spot] = Counter()
        self._known: set[Spot] = set()
        # How often a line has sent gradients themselves; -1 where it has sent something else.
        self._plain: Counter[Spot] = Counter()
        # The last such call since this was asked last, and the optimizers that it was about.
        self._last: dict[int, Spot] = {}
        self._about: dict[Spot, set[int]] = {}
        # The line that averages an optimizer's gradients too late.
        self._late: dict[int, Spot] = {}

    def called(self, spot: Spot, operand: Any) -> None:
        """A collective is about to send `operand`."""
        if spot not in self._known and self._asked[spot] < ASKED:
            self._asked[spot] += 1
            with Unnoticed(), torch.no_grad():
                for at in self._copied(operand):
                    self._known.add(spot)
                    self._about.setdefault(spot, set()).add(at)
                self._note_late(spot, operand)
        for at in self._about.get(spot, ()):
            self._last[at] = spot

    def of_gradients(self, spot: Spot, operand: Any) -> bool:
        """Whether a line sends gradients themselves, before their step: this one, and each that it
        was asked of."""
        asked = self._plain[spot]
        if 0 <= asked < ASKED:
            own, last = storage_key(operand), self._last_turn()
            stepped = last.optimizer if isinstance(last, RawStep) else None
            held = (
                storage_key(grad_of(each)) == own
                for state, optimizer in self._ledger.registry.followed()
                for each in (parameters_of(optimizer) if state.at != stepped else ())
            )
            self._plain[spot] = asked + 1 if own is not None and any(held) else -1
        return self._plain[spot] > 0

    def taken(self, optimizer: int) -> Spot | None:
        """The line that has averaged a copy of gradients of the optimizer since its last step."""
        return self._last.pop(optimizer, None)

    def late(self, optimizer: int) -> Spot | None:
        """The line that has averaged gradients of the optimizer after a step of its, and before the
        next backward."""
        return self._late.get(optimizer)

    def _note_late(self, spot: Spot, operand: Any) -> None:
        own, last = storage_key(operand), self._last_turn()
        if own is None or not isinstance(last, RawStep):
            return
        for state, optimizer in self._ledger.registry.followed():
            if state.at == last.optimizer and any(
                storage_key(grad_of(each)) == own for each in parameters_of(optimizer)
            ):
                self._late.setdefault(state.at, spot)

    def _last_turn(self) -> RawBackward | RawStep | None:
        return next((e for e in reversed(self._log.events) if isinstance(e, _TURNS)), None)

    def _copied(self, operand: Any) -> Iterator[int]:
        count = count_of(operand)
        if not 0 < count <= ELEMENTS or not readable(operand) or grad_fn_of(operand) is not None:
            return
        flat, own = operand.detach().reshape(-1), storage_key(operand)
        for state, optimizer in self._ledger.registry.followed():
            held = [grad for each in parameters_of(optimizer) if readable(grad := grad_of(each))]
            if any(storage_key(grad) == own for grad in held):
                return
            whole = held[:1] if held and sum(map(count_of, held)) == count else []
            for grad in (*whole, *(each for each in held if count_of(each) == count)):
                if _proportional(flat[: count_of(grad)], grad.detach().reshape(-1)):
                    yield state.at
                    break


def _proportional(one: Any, other: Any) -> bool:
    """Whether one is the other times a number."""
    # Any two numbers are.
    if one.dtype != other.dtype or one.device != other.device or count_of(one) < 2:
        return False
    largest = other.abs().argmax()
    if not other[largest].item() or not one[largest].item():
        return False
    return torch.allclose(one * other[largest], other * one[largest], rtol=1e-4, atol=0.0)


def written_together(log: Log, since: int) -> dict[int, Spot]:
    """The line that last wrote to each storage by a collective, after the event at `since`."""
    found: dict[int, Spot] = {}
    for at in range(since, len(log.events)):
        raw = log.events[at]
        if isinstance(raw, RawWrite) and raw.spot is not None and raw.by.startswith("dist."):
            found.update((each[0], raw.spot) for each in raw.tensors)
    return found
