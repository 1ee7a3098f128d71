"""The graphs that capture.py and layout.py measure."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def mlp(layers: int = 12) -> tuple[nn.Module, Any]:
    """A perceptron and its loss."""
    torch.manual_seed(0)
    hidden = [each for _ in range(layers) for each in (nn.Linear(64, 64), nn.ReLU())]
    net = nn.Sequential(*hidden, nn.Linear(64, 1))
    return net, net(torch.randn(16, 64)).square().mean()


class Bottleneck(nn.Module):
    def __init__(self, inner: int, wide: int, width_in: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width_in, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU(),
            nn.Conv2d(inner, inner, 3, padding=1, bias=False), nn.BatchNorm2d(inner), nn.ReLU(),
            nn.Conv2d(inner, wide, 1, bias=False), nn.BatchNorm2d(wide),
        )  # fmt: skip
        self.short = nn.Sequential()
        if wide != width_in:
            self.short = nn.Sequential(
                nn.Conv2d(width_in, wide, 1, bias=False), nn.BatchNorm2d(wide)
            )

    def forward(self, x: Any) -> Any:
        return torch.relu(self.body(x) + self.short(x))


def resnet() -> tuple[nn.Module, Any]:
    """As ResNet-50: 3, 4, 6 and 3 bottlenecks; narrow channels, for the graph is the same."""
    torch.manual_seed(0)
    blocks: list[nn.Module] = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()]
    width = 8
    for stage, count in enumerate((3, 4, 6, 3)):
        for _ in range(count):
            blocks.append(Bottleneck(4 * 2**stage, 16 * 2**stage, width))
            width = 16 * 2**stage
    net = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))
    logits = net(torch.randn(2, 3, 8, 8))
    return net, nn.functional.cross_entropy(logits, torch.tensor([1, 2]))


def transformer(layers: int = 6) -> tuple[nn.Module, Any]:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    net = nn.Sequential(nn.TransformerEncoder(layer, layers), nn.Linear(32, 32))
    return net, net(torch.randn(2, 8, 32)).square().mean()


def lstm(steps: int = 200) -> Any:
    """A cell that is called once a step: its weights are leaves of every step."""
    torch.manual_seed(0)
    cell, head = nn.LSTMCell(8, 16), nn.Linear(16, 1)
    h, c = torch.zeros(2, 16), torch.zeros(2, 16)
    for _ in range(steps):
        h, c = cell(torch.randn(2, 8), (h, c))
    return head(h).sum()


def chain(nodes: int) -> Any:
    y = torch.ones(1, requires_grad=True)
    for _ in range(nodes):
        y = y * 1.0001
    return y
