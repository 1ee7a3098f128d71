"""What torch raises at when it is only read: views and saved tensors that were written since."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import torch

import graphlab


def test_one_of_several_views_whose_base_was_written() -> None:
    base = torch.ones(2, 3, requires_grad=True).clone()
    first, _ = base.unbind(0)
    base.mul_(2)
    with graphlab.watch() as session:
        with pytest.raises(RuntimeError):
            torch.autograd.backward([first], [torch.ones(3)])
        with pytest.raises(RuntimeError):
            torch.autograd.backward([base.sum(), first], [torch.ones(()), torch.ones(3)])
    assert session.trace.unseen == ()


@pytest.mark.parametrize("how", ["written", "freed", "as it was"])
def test_an_exponent_that_is_a_tensor(how: str) -> None:
    """The loss is not finite, so its graph is looked at, before torch says what it thinks of it."""
    weight = torch.ones(3, requires_grad=True)
    exponent = weight * 0.5
    loss = (torch.tensor([-1.0, 2.0, 3.0]) ** exponent).sum()
    if how == "written":
        with torch.no_grad():
            exponent.mul_(2)
    if how == "freed":
        loss.backward()
    with graphlab.watch() as session:
        raises: Any = contextlib.nullcontext()
        if how != "as it was":
            raises = pytest.raises(RuntimeError)
        with raises:
            loss.backward()
    assert session.trace.unseen == ()


def test_no_hook_of_the_programs_unpacks_an_exponent_once_more() -> None:
    unpacked = []

    def run() -> int:
        unpacked.clear()
        weight = torch.ones(3, requires_grad=True)
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t: t, lambda t: unpacked.append(t) or t
        ):
            loss = (torch.tensor([-1.0, 2.0, 3.0]) ** (weight * 0.5)).sum()
        loss.backward()
        return len(unpacked)

    plain = run()
    with graphlab.watch():
        assert run() == plain
