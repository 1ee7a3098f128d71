"""What a library computes with a network that it is given has a graph: the program may cut it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.programs.libraries import told_beside

LIBRARY = """\
def solve(func, y0, steps=3):
    for _ in range(steps):
        y0 = y0 + 0.1 * func(y0)
    return y0


def size(module):
    return sum(each.numel() for each in module.parameters())
"""
START = """\
import solverlib
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Linear(2, 2)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)


def field(y):
    return net(y)


for step in range(10):
"""
BODY = """\
    path = {path}
    loss = (path - 1).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


@pytest.fixture
def told(observe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    yield from told_beside({"solverlib": LIBRARY}, START, observe, tmp_path, monkeypatch)


@pytest.mark.parametrize("func", ["net", "field", "lambda y: net(y)"])
def test_the_line_that_cuts_it_is_named(told: Any, func: str) -> None:
    solved = f"solverlib.solve({func}, torch.ones(4, 2))"
    (found,) = told(BODY.format(path=f"torch.tensor({solved})"))
    assert (found.code, found.cause.at.line) == ("GL005", 15)
    assert told(BODY.format(path=solved)) == []


def test_what_it_counts_is_no_term_that_was_cut(told: Any) -> None:
    term = "torch.tensor(0.01 * solverlib.size(net))"
    body = BODY.replace(".mean()", f".mean() + {term}")
    assert told(body.format(path="field(torch.ones(4, 2))")) == []
