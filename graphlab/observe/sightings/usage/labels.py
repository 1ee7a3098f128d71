"""Notices labels of 0 and 1 in losses that take 1 and -1, which learn nothing from a 0, and labels
that stand where a loss takes the scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from types import FrameType
from typing import Any

import torch

from graphlab.observe.hooks.line_tracer import code_of
from graphlab.observe.notes import RawBackward, Spot, located
from graphlab.observe.price.sampling import sampled
from graphlab.observe.sightings.watched import Watched
from graphlab.observe.tensors import (
    Unnoticed,
    count_of,
    is_tensor,
    readable,
    requires_grad,
)
from graphlab.trace.sightings import ZeroLabels

# How many first calls at a line are looked at, how many must have had both labels, and how large a
# target is read.
FIRST, ENOUGH, LARGEST = 8, 2, 1_000_000
_LOSSES = {
    "cosine_embedding_loss": torch.nn.CosineEmbeddingLoss,
    "soft_margin_loss": torch.nn.SoftMarginLoss,
    "hinge_embedding_loss": torch.nn.HingeEmbeddingLoss,
}
# Those that take scores or probabilities first, and labels of 0 and 1 second.
_ORDERED = {
    "cross_entropy": torch.nn.CrossEntropyLoss,
    "binary_cross_entropy": torch.nn.BCELoss,
    "binary_cross_entropy_with_logits": torch.nn.BCEWithLogitsLoss,
}


class Labels:
    def __init__(self, watched: Watched) -> None:
        self._tracer = watched.tracer
        # By the line and the loss: how often it was called, how often with labels of 0 and 1, and
        # which had others.
        self._calls: Counter[tuple[Spot | None, str]] = Counter()
        self._zeros: Counter[tuple[Spot | None, str]] = Counter()
        self._right: set[tuple[Spot | None, str]] = set()
        # How often labels of 0 and 1 stood in the place of scores, and scores in theirs.
        self._swapped: Counter[tuple[Spot | None, str]] = Counter()
        losses = {**_LOSSES, **_ORDERED}
        self._forwards = {name: code_of(module.forward) for name, module in losses.items()}
        for name, module in losses.items():
            for function in (getattr(torch.nn.functional, name), module.forward):
                watched.tracer.handle(function, partial(self._called, name), "call")

    def inspect(self, record: RawBackward, nodes: list[Any], frame: FrameType) -> None:
        """Nothing: the calls themselves are seen."""

    def found(self) -> Iterator[ZeroLabels]:
        for (spot, loss), count in self._zeros.items():
            if count >= ENOUGH and (spot, loss) not in self._right:
                yield ZeroLabels(located(spot), loss, count)
        for (spot, loss), count in self._swapped.items():
            if count >= ENOUGH:
                yield ZeroLabels(located(spot), loss, count, swapped=True)

    def _called(self, loss: str, frame: FrameType, event: str, arg: Any) -> None:
        # The function within the module's forward is the same call.
        if frame.f_back is None or frame.f_back.f_code is self._forwards[loss]:
            return
        key = self._tracer.spot(frame.f_back), loss
        count = self._calls[key]
        self._calls[key] += 1
        first, target = frame.f_locals.get("input"), frame.f_locals.get("target")
        if loss in _ORDERED:
            if not is_tensor(first) or not is_tensor(target) or not requires_grad(target):
                return
            target = first
        if key in self._right or (count >= FIRST and not sampled(count)) or not is_tensor(target):
            return
        if requires_grad(target) or not readable(target) or count_of(target) > LARGEST:
            return
        with Unnoticed():
            values = set(torch.unique(target).tolist())
        if values - {0, 1}:
            self._right.add(key)
        elif values == {0, 1}:
            (self._swapped if loss in _ORDERED else self._zeros)[key] += 1
