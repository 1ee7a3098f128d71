"""By which factor the program scales a rank's shards of the gradients after a backward."""

from __future__ import annotations

import math
from typing import Any

import torch

from graphlab.observe.optimizers.vectors import shard_of
from graphlab.observe.tensors import Unnoticed, count_of, grad_of

# So much of a factor is rounding, at least: sums over ranks may round in another order on each.
ROUNDING = 1e-4


class ShardGradients:
    """Keeps the largest element of each shard's gradient after a backward, and its place."""

    def __init__(self) -> None:
        self._largest: dict[int, tuple[int, float]] = {}

    def left(self, parameter: Any) -> None:
        """A backward has left the gradient of `parameter` as it is now."""
        own = shard_of(grad_of(parameter))
        if own is None or not count_of(own):
            return
        with Unnoticed(), torch.no_grad():
            flat = own.detach().reshape(-1)
            at = int(flat.abs().argmax())
            self._largest[id(parameter)] = at, float(flat[at])

    def factor(self, parameters: list[Any], grads: list[Any]) -> tuple[float, float] | None:
        """The number by which all of these gradients were multiplied since the last backward, and
        how far rounding may have put it off; None where there is no such number, or no shard."""
        ratios: list[float] = []
        rounding = ROUNDING
        with Unnoticed(), torch.no_grad():
            for parameter, grad in zip(parameters, grads, strict=True):
                own = shard_of(grad)
                at, before = self._largest.pop(id(parameter), (0, 0.0))
                if own is not None and before and at < count_of(own):
                    ratios.append(float(own.detach().reshape(-1)[at]) / before)
                    rounding = max(rounding, 4 * torch.finfo(own.dtype).eps)
        if not ratios or not all(map(math.isfinite, ratios)):
            return None
        if max(ratios) - min(ratios) > rounding * max(map(abs, ratios)):
            return None
        return ratios[0], rounding
