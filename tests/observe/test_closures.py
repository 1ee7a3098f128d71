"""What is seen of closures that LBFGS calls and that compute nothing."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest

from graphlab.observe import program
from graphlab.trace.sightings import IdleClosure

SCRIPT = """\
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
x = torch.rand(20, 2)
y = x.sum(1, keepdim=True)
optimizer = torch.optim.{optimizer}

def compute():
    optimizer.zero_grad()
    loss = (net(x) - y).square().mean()
    loss.backward()
    return loss

def by_hand():
    loss = (net(x) - y).square().mean()
    for p, g in zip(net.parameters(), torch.autograd.grad(loss, list(net.parameters()))):
        p.grad = g
    return loss

def in_place():
    loss = (net(x) - y).square().mean()
    loss.backward()
    with torch.no_grad():
        for p in net.parameters():
            p.grad.mul_(0.5)
    return loss

for step in range(4):
    loss = compute()
    optimizer.step({closure})
"""
LBFGS = "LBFGS(net.parameters(), lr=0.1)"


def seen(tmp_path: Path, closure: str, optimizer: str = LBFGS) -> list[IdleClosure]:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT.format(closure=closure, optimizer=optimizer), encoding="utf-8")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        ran = program.run(program.script(str(path)), [], path.stem)
    assert (ran.trace.outcome, ran.trace.unseen) == ("completed", ())
    return [each for each in ran.trace.sightings if isinstance(each, IdleClosure)]


@pytest.mark.parametrize("search", ["", ", line_search_fn='strong_wolfe'"])
def test_a_closure_that_gives_the_old_loss(tmp_path: Path, search: str) -> None:
    optimizer = f"LBFGS(net.parameters(), lr=0.1{search})"
    (found,) = seen(tmp_path, "lambda: loss", optimizer)
    assert found.at is not None and found.at.line == 32


@pytest.mark.parametrize(
    ("closure", "optimizer"),
    [
        ("compute", LBFGS),
        ("by_hand", LBFGS),
        ("in_place", LBFGS),
        # It calls the closure once a step.
        ("lambda: loss", "LBFGS(net.parameters(), lr=0.1, max_iter=1)"),
        ("lambda: loss", "SGD(net.parameters(), lr=0.1)"),
    ],
)
def test_not_of_one_that_computes(tmp_path: Path, closure: str, optimizer: str) -> None:
    assert seen(tmp_path, closure, optimizer) == []
