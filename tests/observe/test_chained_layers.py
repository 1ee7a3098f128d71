"""A value is followed through the layers of an ``nn.Sequential``: one of the program's own may cut
it off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

SCRIPT = """\
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

torch.manual_seed(0)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Linear(1, 1)

    def forward(self, x):
        {body}


class Scale(nn.Module):
    def forward(self, x):
        return 2 * x


class Model(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 8), nn.Sequential(Scale(), *layers))

    def forward(self, x):
        return self.body(x)


layer = Layer()
net = Model([{layers}])
optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
for step in range(16):
    x = torch.randn(16, 8)
    out = net(x)
    loss = (out - 1).square().mean(){more}
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
LINE = 14
DRAWN = """mean, log = self.gain.weight * x.chunk(2, -1)[0], x.chunk(2, -1)[1]
        self.q = Normal(mean, log.exp())
        return """


def told(observe: Any, tmp_path: Path, body: str, layers: str, more: str = "") -> list[Any]:
    path = tmp_path / "train.py"
    path.write_text(SCRIPT.format(body=body, layers=layers, more=more), encoding="utf-8")
    return [each for each in observe(path).told if each.severity != "info"]


@pytest.mark.parametrize(
    "cut", ["return x.detach() * self.gain.weight", "return x.data * self.gain.weight"]
)
@pytest.mark.parametrize("layers", ["layer", "layer, nn.Linear(8, 2)", "Scale(), layer, Scale()"])
def test_a_cut_inside_a_layer_is_named(observe: Any, tmp_path: Path, cut: str, layers: str) -> None:
    found = next(e for e in told(observe, tmp_path, cut, layers) if "never received" in e.summary)
    assert (found.code, found.cause.at.line) == ("GL110", LINE)


@pytest.mark.parametrize("layers", ["layer", "nn.ReLU(), layer", "layer, nn.ReLU()"])
def test_the_last_layer_may_leave_no_graph(observe: Any, tmp_path: Path, layers: str) -> None:
    (found,) = told(observe, tmp_path, "return torch.tensor(x.tolist())", layers)
    assert (found.code, found.cause.at.line) == ("GL005", LINE)


def test_a_draw_inside_a_layer_is_told(observe: Any, tmp_path: Path) -> None:
    more = " + kl_divergence(layer.q, Normal(0.0, 1.0)).mean()"
    found = told(observe, tmp_path, DRAWN + "self.q.sample()", "layer", more)
    drawn = [each for each in found if each.code == "GL146"]
    assert [each.cause.at.line for each in drawn] == [LINE + 2]
    found = told(observe, tmp_path, DRAWN + "self.q.rsample()", "layer", more)
    assert "GL146" not in [each.code for each in found]


@pytest.mark.parametrize(
    "body",
    [
        "return x * self.gain(torch.ones(1)) + x.detach()",
        "return x + (self.gain(x.mean(1, keepdim=True)) - x).detach() + self.gain.weight.sum()",
    ],
)
def test_a_layer_that_keeps_its_graph_is_left_alone(
    observe: Any, tmp_path: Path, body: str
) -> None:
    found = told(observe, tmp_path, body, "layer, nn.Linear(8, 2)")
    assert not [each for each in found if each.code != "GL110" or "body.0" in each.summary]
