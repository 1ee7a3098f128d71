"""Quantisation-aware training with a quantiser that clips its gradient."""

import torch
from torch import nn
from torch.nn import functional as F


class Quantise(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight, levels):
        scale = weight.abs().max() / levels
        ctx.levels = levels
        return torch.round(weight / scale) * scale

    @staticmethod
    def backward(ctx, grad):
        (weight,) = ctx.saved_tensors
        return grad * (weight.abs() < 1), None


class QuantLinear(nn.Linear):
    def forward(self, x):
        return F.linear(x, Quantise.apply(self.weight, 7), self.bias)


torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), QuantLinear(8, 2))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for step in range(3):
    loss = F.cross_entropy(net(torch.randn(6, 4)), torch.randint(2, (6,)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
