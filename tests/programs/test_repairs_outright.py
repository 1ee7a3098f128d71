"""The line that cut a loss off its graph is told what to do, and shown where one edit is enough."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

START = """\
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Linear(3, 2)
x, y = torch.rand(4, 3), torch.tensor([0, 1, 1, 0])
parts = []
"""


@pytest.mark.parametrize(
    ("lines", "said", "better"),
    [
        ("loss = net(x).detach().exp().sum()", "Leave .detach() out", "loss = net(x).exp().sum()"),
        ("loss = (net(x).data ** 2).mean()", "Leave .data out", "loss = (net(x) ** 2).mean()"),
        (
            "parts.append(net(x).sum())\nloss = torch.tensor(parts).mean()",
            "Use the tensors themselves",
            "loss = torch.stack(parts).mean()",
        ),
        ("loss = torch.tensor(net(x).sum())", "Use the tensors themselves", ""),
        ("loss = torch.tensor(net(x).sum().item())", "Keep the tensor", ""),
        ("loss = torch.from_numpy(net(x).detach().numpy()).sum()", "Stay in torch", ""),
        ("with torch.no_grad():\n    loss = net(x).sum()", "Compute loss, and all that", ""),
        ("loss = (net(x).argmax(1) - y).float().sum()", "Compute loss from what net(x).argmax", ""),
        ("net.requires_grad_(False)\nloss = net(x).sum()", "Line 9 froze", ""),
        ("torch.set_grad_enabled(False)\nloss = net(x).sum()", "Call torch.set_grad_enabled(T", ""),
    ],
)
def test_a_cut_is_mended_where_it_is(
    observe: Any, applied: Any, tmp_path: Path, lines: str, said: str, better: str
) -> None:
    import torch

    source = f"{START}\n{lines}\nloss.backward()\n"
    path = tmp_path / "train.py"
    path.write_text(source, encoding="utf-8")
    try:
        finding = observe(path).only
    finally:
        torch.set_grad_enabled(True)
    assert finding.code == "GL005"
    repair = finding.help[0]
    assert repair.text.startswith(said)
    assert "only silences" in repair.text
    assert repair.after == (f"{better}\n" if better else "")
    if better:
        path.write_text(applied(repair, source), encoding="utf-8")
        ran = observe(path)
        assert (ran.exit_code, ran.told) == (0, [])


@pytest.mark.parametrize(
    ("line", "better"),
    [
        ("loss.backward()", "loss.mean().backward()"),
        ("torch.autograd.grad(loss, net.weight)", "torch.autograd.grad(loss.sum(), net.weight)"),
    ],
)
def test_a_loss_of_many_numbers_is_reduced(
    observe: Any, applied: Any, tmp_path: Path, line: str, better: str
) -> None:
    source = f"{START}\nloss = nn.functional.cross_entropy(net(x), y, reduction='none')\n{line}\n"
    path = tmp_path / "train.py"
    path.write_text(source, encoding="utf-8")
    finding = observe(path).only
    assert finding.code == "GL007"
    assert finding.help[0].after == f"{better}\n"
    path.write_text(applied(finding.help[0], source), encoding="utf-8")
    ran = observe(path)
    assert (ran.exit_code, ran.told) == (0, [])


def test_a_gradient_without_a_graph_of_its_own_keeps_one(
    observe: Any, applied: Any, tmp_path: Path
) -> None:
    """retain_graph=True would end the error and leave the loss without that gradient's graph."""
    source = START + (
        "x.requires_grad_()\nu = net(x).exp()\n"
        "g = torch.autograd.grad(u.sum(), x, create_graph=False)[0]\n"
        "loss = (u.sum(1) + g.sum(1)).square().mean()\nloss.backward()\n"
    )
    path = tmp_path / "train.py"
    path.write_text(source, encoding="utf-8")
    finding = observe(path).only
    assert finding.code == "GL002"
    assert finding.help[0].after == "g = torch.autograd.grad(u.sum(), x, create_graph=True)[0]\n"
    path.write_text(applied(finding.help[0], source), encoding="utf-8")
    ran = observe(path)
    assert (ran.exit_code, ran.told) == (0, [])
