"""The version at which a tensor was saved, which torch keeps to itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphlab.observe.graph.versions import BACK, saved_version
from graphlab.observe.graph.walk import Slot, slots


def stale_slots(node: Any) -> list[Slot]:
    return [slot for slot in slots(node) if slot.stale]


@settings(max_examples=30, deadline=None)
@given(before=st.integers(0, 9), after=st.integers(1, 9), own=st.booleans())
def test_found_and_put_back(before: int, after: int, own: bool) -> None:
    """Of an operation's input, and of its own result, which it saves apart from its history."""
    weight = torch.ones(2, requires_grad=True)
    tensor = weight * 1
    for _ in range(before):
        tensor.add_(1)
    other = tensor.exp() if own else tensor
    saver = other if own else tensor.sin()
    start = other._version
    for _ in range(after):
        other.detach().add_(1)
    (slot,) = stale_slots(saver.grad_fn)
    value = other.detach().clone()
    assert saved_version(slot) == start
    assert other._version == start + after
    assert torch.equal(other.detach(), value)
    with pytest.raises(RuntimeError, match="inplace"):
        saver.sum().backward()


def test_a_custom_function() -> None:
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, tensor: torch.Tensor) -> torch.Tensor:
            ctx.save_for_backward(tensor)
            return tensor * tensor

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            (tensor,) = ctx.saved_tensors
            return 2 * tensor * gradients[0]

    tensor = torch.ones(2, requires_grad=True) * 1
    # Torch 2.11 lets go of what a Function saved with its result.
    squared: Any = Square.apply(tensor)
    tensor.mul_(2)
    (slot,) = stale_slots(squared.grad_fn)
    assert saved_version(slot) == 0


def test_too_long_ago() -> None:
    tensor = torch.ones(2, requires_grad=True) * 1
    saver = tensor.sin()
    for _ in range(BACK + 1):
        tensor.add_(1)
    (slot,) = stale_slots(saver.grad_fn)
    assert saved_version(slot) is None
    assert tensor._version == BACK + 1


def test_without_the_private_setter(monkeypatch: pytest.MonkeyPatch) -> None:
    tensor = torch.ones(2, requires_grad=True) * 1
    saver = tensor.sin()
    tensor.add_(1)
    (slot,) = stale_slots(saver.grad_fn)
    monkeypatch.delattr(torch._C._autograd, "_unsafe_set_version_counter")
    assert saved_version(slot) is None
