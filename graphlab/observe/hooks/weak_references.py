"""Hides graphlab's weak references from `torch.utils.swap_tensors`, which refuses any."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch

from graphlab.observe.tensors import Ref


class HiddenReferences:
    """`torch.utils.swap_tensors`, which `module.to()` may use, swaps the contents of two tensors.
    Both objects keep their identity, so graphlab's references stay valid."""

    def __init__(self) -> None:
        self._undo: Callable[[], None] | None = None

    def start(self) -> None:
        original: Any = torch.utils.swap_tensors

        def swap_tensors(one: Any, other: Any) -> None:
            every = weakref.getweakrefs

            def theirs(value: Any) -> list[Any]:
                return [each for each in every(value) if type(each) is not Ref]

            weakref.getweakrefs = theirs
            try:
                original(one, other)
            finally:
                weakref.getweakrefs = every

        def undo() -> None:
            if torch.utils.swap_tensors is swap_tensors:
                torch.utils.swap_tensors = original

        torch.utils.swap_tensors = swap_tensors
        self._undo = undo

    def stop(self) -> None:
        """Safe to call twice."""
        if self._undo is not None:
            self._undo()
            self._undo = None
