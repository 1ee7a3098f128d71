"""What was seen of the examples that a loss is trained by: those mixed up, and those left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from graphlab.trace.values import Count, Location, OptimizerAt, Shape


@dataclass(frozen=True, slots=True)
class BatchReadAsTime:
    """`name`, a module of torch's class `kind` that takes the sequence first, gave a result of
    `shape`, of which the line at `at` takes one example of the batch, or the mean over all of
    them. built: where the module that decides on that is made."""

    at: Location | None
    name: str
    kind: str
    shape: Shape
    taken: Literal["one", "mean"]
    built: Location | None


@dataclass(frozen=True, slots=True)
class LastOnly:
    """A backward of `loss`, `call` at `at`, that comes after the loop at `loop`, which computes a
    loss in each of its turns, `turns` of them, in the line at `made`: only the last one is
    back-propagated."""

    at: Location | None
    call: str
    loss: str
    loop: Location
    made: Location
    turns: Count


@dataclass(frozen=True, slots=True)
class NeverBack:
    """`optimizer` took `steps` steps, the first at `at`, none of which had a gradient, while
    `loss`, made at `made`, led to what it holds. after, call: the backward of that loss that came
    behind the first of them, if there was one."""

    optimizer: OptimizerAt
    at: Location | None
    loss: str
    made: Location | None
    steps: Count
    after: Location | None = None
    call: str = ""


ExampleSighting = BatchReadAsTime | LastOnly | NeverBack
