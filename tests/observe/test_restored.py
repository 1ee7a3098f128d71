"""A write through `.data` that is undone before backward reads the value, and one that is not."""

from __future__ import annotations

import pytest
import torch

import graphlab
from graphlab.observe.notes import KEEP_EVENTS

SIZES = 3, 40_000  # one whose memory is read at each write, and one that is too large for that


def codes(session: graphlab.Session) -> list[str]:
    return [each.code for each in session.findings]


def test_a_gradient_check() -> None:
    x = torch.randn(3, dtype=torch.double, requires_grad=True)
    with graphlab.watch() as session:
        assert torch.autograd.gradcheck(torch.sin, (x,))
        assert torch.autograd.gradcheck(lambda t: (t * t).sum(), (x,), fast_mode=True)
        assert torch.autograd.gradgradcheck(torch.sin, (x,))
    assert codes(session) == []


@pytest.mark.parametrize("back", [True, False])
def test_an_item_that_is_moved(back: bool) -> None:
    x = torch.randn(2, 3, requires_grad=True)
    with graphlab.watch() as session:
        loss = (x.t() @ x).sum()
        before = x[0, 1].item()
        x.data[0, 1] = before + 1
        if back:
            x.data[0, 1] = before
        loss.backward()
    assert codes(session) == ([] if back else ["GL105"])


@pytest.mark.parametrize("back", [True, False])
def test_one_element_is_saved_of_what_is_moved(back: bool) -> None:
    times = torch.linspace(0.0, 1.0, 4, dtype=torch.double)
    y = torch.ones(3, dtype=torch.double, requires_grad=True)
    with graphlab.watch() as session:
        loss = (y * times[2]).sum()
        for at in range(4):
            own = times[at].clone()
            times.data[at].copy_(own + 1)
            if back:
                times.data[at].copy_(own)
        loss.backward()
    assert codes(session) == ([] if back else ["GL105"])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("back", [True, False])
def test_averaged_weights_that_are_swapped_in(back: bool, size: int) -> None:
    weight = torch.ones(size, requires_grad=True)
    averaged = torch.zeros(size)
    with graphlab.watch() as session:
        loss = (weight * weight).sum()
        own = weight.data
        weight.data = averaged
        if back:
            weight.data = own
        loss.backward()
    assert codes(session) == ([] if back else ["GL105"])


@pytest.mark.parametrize("size", SIZES)
def test_a_swap_does_not_hide_a_write(size: int) -> None:
    weight = torch.ones(size, requires_grad=True)
    with graphlab.watch() as session:
        loss = (weight * weight).sum()
        own = weight.data
        weight.data = torch.zeros(size)
        own.mul_(2)
        weight.data = own
        loss.backward()
    assert codes(session) == ["GL105"]


def test_a_copy_of_the_same_values() -> None:
    weight = torch.ones(3, requires_grad=True)
    with graphlab.watch() as session:
        loss = (weight * weight).sum()
        weight.data = weight.data.clone()
        loss.backward()
    assert codes(session) == []


def test_a_storage_without_memory() -> None:
    """As FSDP leaves what it has gathered: its tensors have a size, and nothing to read."""
    whole = torch.ones(8, requires_grad=True)
    part = whole.detach()[4:].requires_grad_()
    with graphlab.watch() as session:
        whole.untyped_storage().resize_(0)
        part.data = torch.ones(4)
        (part * part).sum().backward()
    assert codes(session) == []
    assert part.grad is not None


@pytest.mark.parametrize("shared", [True, False])
def test_a_buffer_that_is_given_what_backward_saved(shared: bool) -> None:
    """`.data = largest` writes no memory: only what reads the buffer itself is stale."""
    x, limit = torch.randn(5, requires_grad=True), torch.zeros(())
    with graphlab.watch() as session:
        doubled = x * 2
        largest = doubled.max()
        scaled = doubled * (largest if shared else limit)
        limit.data = largest
        scaled.sum().backward()
    assert codes(session) == ([] if shared else ["GL105"])


def test_what_was_put_back_so_often_that_the_first_write_is_forgotten() -> None:
    weight = torch.ones(3, requires_grad=True)
    entry = weight.data[0]
    with graphlab.watch() as session:
        loss = (weight * weight).sum()
        for _ in range(KEEP_EVENTS // 3 + 1):
            kept = entry.clone()
            entry.copy_(kept - 0.25)
            entry.copy_(kept + 0.25)
            entry.copy_(kept)
        loss.backward()
    assert [each.code for each in session.findings] == []


class _Solved(torch.autograd.Function):
    """Its node is there before its forward, which writes and then keeps what it wrote."""

    @staticmethod
    def forward(ctx, start):  # type: ignore[no-untyped-def]
        z = start.detach().clone()
        for _ in range(3):
            z.data.mul_(0.5)
        ctx.save_for_backward(z)
        return z

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        (z,) = ctx.saved_tensors
        return grad * z


@pytest.mark.parametrize("later", [True, False])
def test_what_a_function_keeps_it_has_written_before(later: bool) -> None:
    start = torch.ones(3, requires_grad=True)
    with graphlab.watch() as session:
        z = _Solved.apply(start)
        loss = z.sum()
        if later:
            z.data.mul_(2.0)
        loss.backward()
    assert codes(session) == (["GL105"] if later else [])
