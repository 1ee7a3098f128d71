"""Stochastic depth over a checkpointed stack of residual blocks."""

import torch
from torch import nn
from torch.nn import functional as F
import random

from torch.utils.checkpoint import checkpoint


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, x):
        return x + self.inner(x)


class Stack(nn.Module):
    def __init__(self, width=8, depth=6, drop=0.5):
        super().__init__()
        self.blocks = nn.ModuleList(Residual(width) for _ in range(depth))
        self.drop = drop

    def forward(self, x):
        for block in self.blocks:
            if self.training and random.random() < self.drop:
                continue
            x = block(x)
        return x


def train(steps=4):
    stack, head = Stack(), nn.Linear(8, 2)
    optimizer = torch.optim.SGD([*stack.parameters(), *head.parameters()], lr=0.1)
    for step in range(steps):
        x = torch.randn(5, 8, requires_grad=True)
        y = torch.randint(2, (5,))
        loss = F.cross_entropy(head(checkpoint(stack, x, use_reentrant=False)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


if __name__ == "__main__":
    random.seed(5)
    torch.manual_seed(0)
    train()
