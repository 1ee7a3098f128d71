"""What the loss of a backward is to that of the backward which had freed its graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import graphlab
from graphlab.trace.model import Backward


def _same(x: Any) -> tuple[Any, Any]:
    loss = x.exp().sum()
    return loss, loss


def _whole(x: Any) -> tuple[Any, Any]:
    loss = x.exp().sum()
    return loss, loss * 2


def _part(x: Any) -> tuple[Any, Any]:
    loss = x.exp().sum()
    return loss * 2, loss


def _beside(x: Any) -> tuple[Any, Any]:
    inner = x.exp()
    return inner.sum(), inner.mean()


def _summed(x: Any) -> tuple[Any, Any]:
    one, two = x.exp().sum(), x.sin().sum()
    return one + two + 1.0, 1.0 + (one + two)


def _other_sum(x: Any) -> tuple[Any, Any]:
    one, two = x.exp().sum(), x.sin().sum()
    return one + two, one + x.cos().sum()


@pytest.mark.parametrize(
    ("losses", "twice"),
    [
        (_same, "same"), (_whole, "whole"), (_part, "part"), (_beside, ""),
        (_summed, "same"), (_other_sum, ""),
    ],
)  # fmt: skip
def test_two_losses_of_one_graph(losses: Callable[[Any], tuple[Any, Any]], twice: str) -> None:
    x = torch.ones(3, requires_grad=True)
    session = graphlab.watch()
    with pytest.raises(RuntimeError), session:
        first, second = losses(x)
        first.backward()
        second.backward()
    events = [each for each in session.trace.events if isinstance(each, Backward)]
    assert [each.twice for each in events] == ["", twice]
