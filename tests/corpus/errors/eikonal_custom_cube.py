"""A signed distance network with an eikonal term."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.autograd.function import once_differentiable


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad


class Field(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 16)
        self.outer = nn.Linear(16, 1)

    def forward(self, points):
        return self.outer(torch.tanh(Cube.apply(self.inner(points))))


def train(steps=3):
    field = Field()
    optimizer = torch.optim.Adam(field.parameters(), lr=1e-3)
    for step in range(steps):
        points = torch.rand(20, 3).requires_grad_(True)
        distance = field(points)
        (normal,) = torch.autograd.grad(distance.sum(), points, create_graph=True)
        loss = distance.abs().mean() + (normal.norm(dim=-1) - 1).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


torch.manual_seed(0)
train()
