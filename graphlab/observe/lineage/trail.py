"""What a search through the source of a value has met on its way."""

from __future__ import annotations

from typing import Any

import torch

from graphlab.observe.notes import Cut
from graphlab.observe.tensors import is_leaf, is_tensor, is_view, requires_grad
from graphlab.source.objects import items


class Trail:
    """What was found on the way: modules that were called and leaves, and the cuts with those
    behind each.

    A `thorough` search goes on at a value with a graph, as part of it may have been cut off. Of
    other tensors than leaves, only the one that is `wanted` is noted.
    """

    def __init__(self, thorough: bool = False, wanted: Any = None) -> None:
        self.thorough, self.wanted = thorough, wanted
        self.modules: list[Any] = []
        self.cuts: list[tuple[Cut, list[Any]]] = []
        # The calls of modules whose parameters are all frozen.
        self.frozen: list[tuple[Cut, Any]] = []
        # Whether gradients were on where the search began.
        self.grad_enabled = torch.is_grad_enabled()

    def note(self, value: Any) -> None:
        """Add the leaves among a value, or in it."""
        for each in (value,) if is_tensor(value) else (one for _, one in items(value, 16)):
            leaf = is_tensor(each) and requires_grad(each) and not is_view(each) and is_leaf(each)
            if leaf or (each is self.wanted and each is not None):
                self.modules.append(each)
