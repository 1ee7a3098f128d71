"""What was seen of numbers that are not finite: where the first was made, and what it reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from graphlab.trace.values import Count, Location, TensorAt

# Where a number was made: in a forward, in a backward, in an optimizer's step; or where it was
# first met: in data, which no operation made. `before` is in what had run when looking began.
Phase = Literal["forward", "backward", "step", "data", "before"]


@dataclass(frozen=True, slots=True)
class NonFinite:
    """The first NaN or Inf that reached a loss that was trained on, a gradient that was applied or
    a parameter.

    at: the line that made it, of a backward the forward line of its node; None where that is not
    known. operation: what made it there, in torch's words. operand, critical: what it was given, as
    written, and which values of that cannot be. count, whole: how many of the values made are not
    finite. zero_met: in a backward, the gradient that came in was 0 there. inside: the user's own
    backward made it. iteration: in which it was made. loss, call, call_at: the backward that it
    reached. in_loss: it is in the loss itself. step, step_at: the step that applied it. tensors:
    parameters that it reached. look_from: the iteration from which a second run has to look, where
    only that can tell more.
    """

    at: Location | None
    operation: str
    phase: Phase
    kind: Literal["nan", "inf"]
    iteration: Count | None = None
    operand: str = ""
    critical: str = ""
    count: Count = 0
    whole: Count = 0
    module: str | None = None
    zero_met: bool = False
    inside: bool = False
    in_loss: bool = False
    loss: str = ""
    call: str = ""
    call_at: Location | None = None
    step: str = ""
    step_at: Location | None = None
    tensors: tuple[TensorAt, ...] = ()
    look_from: Count | None = None
