"""What is known of one number that is not finite: where it was made, and from what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from graphlab.observe.names import parameters_of
from graphlab.observe.notes import RawBackward, located
from graphlab.observe.numbers.finite import counts, odd
from graphlab.source.objects import attributes, is_a, item
from graphlab.trace.model import Location
from graphlab.trace.sightings import NonFinite, Phase


# Compared by identity: two births are never the same one.
@dataclass(eq=False, slots=True)
class Birth:
    """As in trace.NonFinite. `order` counts them; `meant`: the program itself wrote an infinite
    number there; `node`: of a forward, the number of its node in the graph."""

    order: int
    at: Location | None
    operation: str
    phase: Phase
    nan: bool
    iteration: int | None = None
    operand: str = ""
    critical: str = ""
    count: int = 0
    whole: int = 0
    module: str | None = None
    zero_met: bool = False
    inside: bool = False
    meant: bool = False
    node: int = -1


def first(births: tuple[Birth, ...]) -> Birth | None:
    """The one to name of several that a number comes from: those that are meant come last."""
    return min(births, key=lambda each: (each.meant, each.order), default=None)


def sighting(birth: Birth, record: RawBackward | None, in_loss: bool) -> NonFinite:
    """What is told of a birth that reached `record`."""
    return NonFinite(
        birth.at, birth.operation, birth.phase, "nan" if birth.nan else "inf",
        birth.iteration, birth.operand, birth.critical, birth.count, birth.whole, birth.module,
        birth.zero_met, birth.inside, in_loss,
        record.loss if record is not None else "",
        record.call if record is not None else "",
        located(record.spot) if record is not None else None,
        reached=record.iteration if record is not None and birth.iteration is None else None,
    )  # fmt: skip


def phase_of(ill: list[Any], optimizers: Iterable[tuple[Any, Any]]) -> Phase | None:
    """Whether a gradient or the step itself made parameters not finite, by what their optimizer
    keeps of the gradients; None where it keeps nothing."""
    for _, optimizer in optimizers:
        for each in parameters_of(optimizer):
            if not any(each is other for other in ill):
                continue
            state: Any = attributes(optimizer).get("state")
            own: Any = dict.get(state, each) if is_a(state, dict) else None
            for name in ("exp_avg", "momentum_buffer"):
                kept = item(own, name)
                if counts(kept):
                    return "backward" if odd(kept) else "step"
            return None
    return "backward"
