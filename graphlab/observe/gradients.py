"""Which backward put what into which parameter's `.grad`, and what an optimizer then applied.

Who wrote where is followed at every backward, by looking at each gradient's identity and version
counter. The vectors themselves are compared on sampled steps only: between the first backward
and the step, one copy of the gradients is kept for every loss but the last.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from graphlab.observe.log import RawBackward
from graphlab.observe.storage import version_of
from graphlab.trace.model import Mix, Share

Label = tuple[str, int | None]
# A gradient is looked at for a zeroing that no counter tells of as often as this.
LOOKS = 4


class ParameterState:
    """What is known of one parameter's gradient since it was last cleared."""

    __slots__ = (
        "by_hand", "grad_id", "index", "kept", "last_stepper", "place", "seen", "sources", "spent",
        "turns", "version",
    )  # fmt: skip

    def __init__(self) -> None:
        self.sources: list[RawBackward] = []
        # The parameter's place in the trace, and where its memory was last found.
        self.index: int | None = None
        self.place: tuple[int, Any] = (0, None)
        # How many of the sources each optimizer (by place) had applied at its last step.
        self.spent: dict[int, int] = {}
        # Whether something other than backward has changed the gradient's values.
        self.by_hand = False
        # The optimizer that stepped it last, and how often that has changed.
        self.last_stepper: int | None = None
        self.turns = 0
        self.grad_id = 0
        self.version = 0
        # How often a gradient that a step had applied was still there at the next backward.
        self.kept = 0
        # Whether the parameter ever had a gradient.
        self.seen = False

    def clear(self) -> None:
        self.sources = []
        self.spent = {}
        self.by_hand = False

    def settle(self, grad: Any, overwritten: Callable[[Any], bool]) -> None:
        """Notice, before a backward or a step, what the program itself did to the gradient."""
        if grad is None:
            if self.sources or self.spent or self.by_hand:
                self.clear()
        elif self.sources and id(grad) != self.grad_id:
            self.clear()
            self.by_hand = True
        elif self.sources and version_of(grad) != self.version:
            self.version = version_of(grad)
            # Zeroed in place is cleared; anything else (clipping, scaling) is the same gradient.
            if self.spent and not bool(grad.detach().any()):
                self.clear()
            elif self.spent and overwritten(grad):
                self.by_hand = True
        elif not self.sources:
            self.by_hand = True
        elif self.spent and self.kept < LOOKS:
            # Cleared through `.data` or NumPy no counter moves; and whoever does it does it
            # every time.
            if bool(grad.detach().any()):
                self.kept += 1
            else:
                self.clear()

    def written(self, record: RawBackward, grad: Any) -> None:
        """A backward has added to the gradient."""
        self.sources.append(record)
        self.seen = True
        self.grad_id = id(grad)
        self.version = version_of(grad)


class Contributions:
    """The gradient that each loss added for one optimizer, while a step is being sampled."""

    def __init__(self) -> None:
        self.parts: dict[Label, dict[int, Any]] = {}
        self.last: Label | None = None
        self.norm_after = 0.0

    def begin(self, label: Label, parameters: list[Any]) -> None:
        """Before a backward of `label`: what stands in .grad so far is the previous loss's."""
        if self.last is not None and self.last != label:
            self.settle(parameters)
        self.last = label

    def settle(self, parameters: list[Any], factor: float = 1.0) -> None:
        """Give the part of .grad that is nobody's yet to the loss that ran last."""
        if self.last is None:
            return
        mine = self.parts.setdefault(self.last, {})
        for parameter in parameters:
            grad = parameter.grad
            if grad is None:
                continue
            rest = dense(grad).detach().clone()
            for part in self.parts.values():
                if id(parameter) in part:
                    rest -= part[id(parameter)] * factor
            if self.last in self.parts and id(parameter) in mine:
                mine[id(parameter)] = mine[id(parameter)] + rest / factor
            else:
                mine[id(parameter)] = rest / factor
        self.last = None


def dense(grad: Any) -> Any:
    return grad.to_dense() if grad.is_sparse else grad


def norm_of(parameters: list[Any]) -> float:
    total = 0.0
    for parameter in parameters:
        if parameter.grad is not None:
            total += _dot(dense(parameter.grad), dense(parameter.grad))
    return math.sqrt(total)


def _dot(one: Any, other: Any) -> float:
    import torch

    return float(torch.sum(one.double() * other.double()))


def mix_of(contributions: Contributions, parameters: list[Any]) -> Mix | None:
    """Shares and cosines of the losses in the gradient that is about to be applied."""
    now = norm_of(parameters)
    before = contributions.norm_after
    # Clipping and loss scaling multiply the whole gradient; a part is scaled alike.
    factor = now / before if before > 0.0 and now > 0.0 else 1.0
    exact = math.isclose(factor, 1.0, rel_tol=1e-9)
    contributions.settle(parameters, factor if not exact else 1.0)
    parts = contributions.parts
    labels = list(parts)
    if not labels or not math.isfinite(now):
        return None
    live = [p for p in parameters if p.grad is not None]
    squares, to_total, counts = {}, {}, {}
    for label in labels:
        part = parts[label]
        squares[label] = sum(_dot(v, v) for v in part.values())
        to_total[label] = sum(_dot(part[id(p)], dense(p.grad)) for p in live if id(p) in part)
        counts[label] = sum(1 for v in part.values() if bool(v.any()))
    norms = {label: math.sqrt(squares[label]) for label in labels}
    whole = sum(norms.values())
    shares = tuple(
        Share(
            loss=label[0],
            line=label[1],
            parameters=counts[label],
            norm=norms[label] * factor,
            share=norms[label] / whole if whole > 0 else 0.0,
            cosine_to_total=_cosine(to_total[label], norms[label], now),
        )
        for label in labels
        if counts[label] or len(labels) == 1
    )
    cosines = []
    for index, one in enumerate(labels):
        for other in labels[index + 1 :]:
            both = parts[one].keys() & parts[other].keys()
            inner = sum(_dot(parts[one][key], parts[other][key]) for key in both)
            cosine = _cosine(inner, norms[one], norms[other])
            if cosine is not None:
                cosines.append((one[0], other[0], cosine))
    return Mix(shares, tuple(cosines), exact)


def _cosine(inner: float, one: float, other: float) -> float | None:
    if one <= 0.0 or other <= 0.0:
        return None
    return max(-1.0, min(1.0, inner / (one * other)))
