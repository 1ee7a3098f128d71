"""What leads into an earlier graph and is no tensor: a partial, a method, a closure."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

import graphlab
from graphlab.rules.registry import find


class Field:
    def __init__(self, condition: torch.Tensor) -> None:
        self.condition = condition

    def at(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.condition


def added(condition: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return x + condition


def closed(condition: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda x: x * condition


MAKERS: dict[str, Any] = {
    "partial": lambda h: partial(added, h),
    "method": lambda h: Field(h).at,
    "closure": closed,
    "pair": lambda h: {"steps": [partial(partial(added, h))]}["steps"][0],
}


@pytest.mark.parametrize("kind", MAKERS)
def test_a_function_that_was_made_with_it_is_named(kind: str) -> None:
    embed = torch.nn.Linear(2, 3)
    optimizer = torch.optim.SGD(embed.parameters(), lr=0.1)
    with graphlab.watch() as session, pytest.raises(RuntimeError):
        density = MAKERS[kind](embed(torch.ones(4, 2)).tanh())
        for _ in range(3):
            loss = density(torch.randn(4, 3)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    (found,) = [each for each in find(session.trace) if each.code == "GL002"]
    assert "density" in found.help[0].text
