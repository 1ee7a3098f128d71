"""What stands in a program once is no training: a loss that is only kept, gradients that are only
asked for."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from graphlab.observe import program
from graphlab.rules.registry import find

START = """\
import torch
from torch import nn

torch.manual_seed(0)
net, other = nn.Sequential(nn.Linear(2, 1)), nn.Sequential(nn.Linear(2, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
x = torch.ones(3, 2, requires_grad=True)
"""


def codes(tmp_path: Path, body: str) -> list[str]:
    path = tmp_path / "script.py"
    path.write_text(START + textwrap.dedent(body), encoding="utf-8")
    ran = program.run(program.script(str(path)), [], path.stem)
    assert ran.trace.outcome == "completed"
    return [each.code for each in find(ran.trace)]


LOOP = """
for _ in range(6):
    optimizer.zero_grad()
    {forgotten}
    net(x).mean().backward()
    optimizer.step()
"""


ASKING = """
for scale in (1.0, 2.0, 3.0):
    other(scale * x).sum().backward()
    print(x.grad)
"""


@pytest.mark.parametrize("forgotten", ["", "other(x).sum().backward()"])
def test_a_network_whose_gradients_are_asked_for(tmp_path: Path, forgotten: str) -> None:
    """Apart from the training, as for a map of what matters in an input; in each iteration of it,
    the network was forgotten."""
    body = LOOP.format(forgotten=forgotten) + ASKING
    assert codes(tmp_path, body) == (["GL103"] if forgotten else [])


def test_a_network_that_one_backward_reaches_together_with_a_trained_one(tmp_path: Path) -> None:
    body = "other(net(x) * x).sum().backward()\noptimizer.step()\n"
    assert codes(tmp_path, body) == ["GL103"]


@pytest.mark.parametrize("again", ["", "kept_loss = other(x).sum()"])
def test_a_loss_that_is_kept(tmp_path: Path, again: str) -> None:
    """While others are back-propagated; it is never used where it is computed each time."""
    body = "kept_loss = other(x).sum()\n" + LOOP.format(forgotten=again or "pass")
    assert codes(tmp_path, body) == (["GL119"] if again else [])
