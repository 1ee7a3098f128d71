"""What is known of one number that is not finite: where it was made, and from what."""

from __future__ import annotations

from dataclasses import dataclass

from graphlab.trace.model import Location
from graphlab.trace.sightings import Phase


# Compared by identity: two births are never the same one.
@dataclass(eq=False, slots=True)
class Birth:
    """As in trace.NonFinite. `order` counts them; `meant`: the program itself wrote an infinite
    number there."""

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


def first(births: tuple[Birth, ...]) -> Birth | None:
    """The one to name of several that a number comes from: those that are meant come last."""
    return min(births, key=lambda each: (each.meant, each.order), default=None)
