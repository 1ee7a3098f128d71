"""Statistics that the layers of a user's class keep with their graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_LAYERS = """\
import torch
from torch import nn


def norm(x, mean, spread):
    now = x.mean(dim=0)
    mean, spread = 0.9 * mean + 0.1 * now, 0.9 * spread + 0.1 * (x - now).square().mean(dim=0)
    return x - now, mean, spread


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.mean = torch.zeros(4)
        self.spread = torch.zeros(4)

    def forward(self, x):
        y, self.mean, self.spread = norm(x, self.mean, self.spread)
        return y
"""
_TRAINING = """\
import torch


def fit(net):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for i in range(10):
        loss = net(torch.randn(8, 4)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""
_MAIN = """\
import torch
from torch import nn

from layers import Norm
from training import fit

torch.manual_seed(0)
fit(nn.Sequential(nn.Linear(4, 4), Norm(), nn.Tanh(), nn.Linear(4, 4), Norm(), nn.Linear(4, 1)))
"""


def test_what_one_line_keeps_is_one_finding(observe: Any, tmp_path: Path) -> None:
    (tmp_path / "layers.py").write_text(_LAYERS)
    (tmp_path / "training.py").write_text(_TRAINING)
    (tmp_path / "program.py").write_text(_MAIN)
    found = [each for each in observe(tmp_path / "program.py").findings if each.severity != "info"]
    assert [each.code for each in found] == ["GL106"], [each.summary for each in found]
    assert found[0].tensor is not None and found[0].tensor.tensor.name == "net.1.mean"
    assert "3 others that the same line keeps" in found[0].summary
    assert found[0].cause is not None and found[0].cause.at.file.endswith("layers.py")
    assert "y, self.mean, self.spread = norm(" in found[0].cause.at.code
    assert found[0].help[0].after.splitlines()[:2] == [
        "        self.mean = self.mean.detach()",
        "        self.spread = self.spread.detach()",
    ]
