"""The hints of numbers and indices, the Location and the TensorInfo that all of a Trace uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from graphlab.trace.checked import GREATEST, MOST, AtMost, Between, PositionIn

# The numbers that a saved trace may hold, with the bounds that checked.py enforces.
# `TensorAtOrNone` is -1 for a tensor that has no name.
Count = Annotated[int, Between(0, MOST)]
Line = Annotated[int, Between(0, 10**7)]
# The values of a tensor that has few.
Values = Annotated[tuple[Annotated[float, Between(-GREATEST, GREATEST)], ...], AtMost(8)]
Norm = Annotated[float, Between(0.0, GREATEST)]
# A part of a whole. Rounding may take it slightly above 1.
Part = Annotated[float, Between(0.0, 1.001)]
Shape = Annotated[tuple[Count, ...], AtMost(200)]
TensorAt = Annotated[int, PositionIn("tensors")]
TensorAtOrNone = Annotated[int, PositionIn("tensors", or_none=True)]
OptimizerAt = Annotated[int, PositionIn("optimizers")]
EventAt = Annotated[int, PositionIn("events")]

# What follows the name of a module of torch's that was told to write in place, and did.
IN_PLACE = "(inplace=True)"
Kind = Literal["parameter", "buffer", "activation", "input"]
# What one loss is to another: the very same, the whole of it, or a part of it.
Twice = Literal["", "same", "whole", "part"]


@dataclass(frozen=True, slots=True)
class Location:
    """A place in the user's own source; lines and columns count from 1.

    `code` is the line without the `indent` that it starts with."""

    file: str
    line: Line
    column: Line
    end_line: Line
    end_column: Line
    function: str
    code: str
    indent: Line = 0


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A tensor, named as in the user's code; `owner` is the variable that holds its module."""

    name: str | None
    kind: Kind
    shape: Shape
    dtype: str
    owner: str | None = None
    requires_grad: bool = False
