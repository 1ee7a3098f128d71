"""What is seen of losses over all pairs of predictions and targets."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest

from graphlab.observe import program
from graphlab.trace.sightings import BroadcastLoss

SCRIPT = """\
import warnings
import torch
from torch import nn
from torch.nn import functional as F

warnings.simplefilter("ignore")
torch.manual_seed(0)
net = nn.Linear(6, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.01)

def squared(prediction, target):
    return torch.mean((prediction - target) ** 2)

for step in range(3):
    x = torch.randn(12, 6)
    y = x.sum(1)
    {loss}
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def seen(tmp_path: Path, loss: str) -> list[BroadcastLoss]:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT.format(loss=loss), encoding="utf-8")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        ran = program.run(program.script(str(path)), [], path.stem)
    assert (ran.trace.outcome, ran.trace.unseen) == ("completed", ())
    return [each for each in ran.trace.sightings if isinstance(each, BroadcastLoss)]


@pytest.mark.parametrize(
    ("loss", "prediction"),
    [
        ("loss = ((net(x) - y) ** 2).mean()", (12, 1)),
        ("loss = torch.square(y - net(x)).sum()", (12, 1)),
        ("loss = 0.5 * squared(net(x).view(-1, 1), y)", (12, 1)),
        ("loss = (net(x).squeeze(1) - y[:, None]).pow(2).mean()", (12,)),
        ("loss = F.mse_loss(net(x), y)", (12, 1)),
        ("loss = nn.MSELoss()(net(x).squeeze(1), y[:, None])", (12,)),
        ("loss = F.smooth_l1_loss(net(x), y, reduction='sum')", (12, 1)),
        ("loss = nn.HuberLoss()(net(x), y)", (12, 1)),
        ("loss = (net(x) - y).abs().mean()", (12, 1)),
        ("loss = (y - net(x)).abs().clamp(max=3.0).sum() / 12", (12, 1)),
        ("loss = ((net(x) - y) ** 2 * torch.rand(12)).mean()", (12, 1)),
        ("loss = torch.sqrt((net(x) - y) ** 2 + 1e-6).mean()", (12, 1)),
        ("e = net(x) - y; loss = torch.sqrt(e * e + 1e-6).mean()", (12, 1)),
        ("loss = torch.log(torch.cosh(net(x) - y)).mean()", (12, 1)),
        (
            "e = net(x) - y; loss = torch.where(e.abs() < 1, e**2, 2 * e.abs() - 1).mean()",
            (12, 1),
        ),
        ("e = y - net(x); loss = torch.max(0.9 * e, (0.9 - 1) * e).mean()", (12, 1)),
        ("e = y - net(x); loss = torch.max(0.9 * e, -0.1 * e).mean()", (12, 1)),
        # Weights that were made a column, of losses that are none.
        ("loss = (y[:, None] * (net(x).squeeze(1) - y) ** 2).mean()", (12,)),
        (
            "loss = (F.mse_loss(net(x)[:, 0], y, reduction='none') * y.unsqueeze(1)).mean()",
            (12,),
        ),
    ],
)
def test_a_column_and_a_row(tmp_path: Path, loss: str, prediction: tuple[int, ...]) -> None:
    (pairs,) = seen(tmp_path, loss)
    assert (pairs.prediction, pairs.result, pairs.call) == (prediction, (12, 12), "loss.backward()")
    assert pairs.at is not None and pairs.at.line == (12 if "squared" in loss else 17)


@pytest.mark.parametrize(
    "loss",
    [
        "loss = ((net(x).squeeze(1) - y) ** 2).mean()",
        "loss = F.mse_loss(net(x), y.unsqueeze(1))",
        # A matrix of targets of its own, and a target for all.
        "loss = ((net(x) - torch.randn(12, 12)) ** 2).mean()",
        "loss = ((net(x) - y.mean()) ** 2).mean()",
        "loss = F.mse_loss(net(x), torch.randn(12, 4))",
        "loss = F.mse_loss(net(x), torch.zeros(1))",
        # All pairs, on purpose.
        "loss = (net(x)[:, 0].unsqueeze(1) - y).square().mean()",
        "loss = F.softplus(net(x) - net(x).squeeze(1)).mean()",
        "loss = ((net(x) - net(x).T) ** 2).mean()",
        "loss = torch.exp(-(net(x) - y) ** 2).mean()",
        # An energy distance compares the predictions with each other as well.
        "p = net(x); loss = (p - y).abs().mean() - 0.5 * (p - p.T).abs().mean()",
        "p = net(x); loss = (p - y).abs().mean() - 0.5 * torch.cdist(p, p).mean()",
        # A hinge, of each score above each bound.
        "loss = torch.relu(net(x) - y).mean()",
        "loss = (net(x) - y).clamp(min=0).mean()",
        "loss = (net(x).squeeze(1) - y).abs().mean()",
        # Quantiles of one distribution: each sample pulls at all of them.
        "e = y - net(x).squeeze(1).view(-1, 1); loss = torch.max(0.9 * e, (0.9 - 1) * e).mean()",
        "e = y - net(x).T.reshape(-1, 1); loss = torch.where(e.abs() < 1, e**2, e.abs()).mean()",
        "e = y - net(x).squeeze(1); loss = torch.max(0.9 * e, (0.9 - 1) * e).mean()",
        "loss = torch.max(net(x) - y, 0.1 * (net(x) - y).detach()).mean()",
        "loss = ((net(x) - torch.linspace(-1, 1, 5)) ** 2).mean()",
        "loss = ((net(x) - y) ** 2).min(dim=1).values.mean()",
        # A column of weights for a column of losses, and one of what is no loss yet.
        "loss = (y[:, None] * (net(x) - y[:, None]) ** 2).mean()",
        "loss = (y[:, None] * net(x).squeeze(1)).mean()",
        # Two of them are no matrix to tell by.
        "loss = ((net(x[:2]) - y[:2]) ** 2).mean()",
    ],
)
def test_one_shape_or_all_pairs_meant(tmp_path: Path, loss: str) -> None:
    assert seen(tmp_path, loss) == []
