"""Ascent on an input beside descent on the weights, in three ways that mean to share a backward."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(9)
model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)


def batch():
    y = torch.randint(0, 3, (16,))
    return torch.randn(16, 8) + y.unsqueeze(1), y


def free(x, y, replays=3):
    """One backward serves both the input and the weights."""
    noise = torch.zeros_like(x, requires_grad=True)
    for _ in range(replays):
        optimizer.zero_grad()
        F.cross_entropy(model(x + noise), y).backward()
        optimizer.step()
        noise.data = (noise + 0.1 * noise.grad.sign()).clamp(-0.2, 0.2).data
        noise.grad.zero_()


def enlarged(x, y, steps=3):
    """The weights follow the mean over all steps of the ascent, and the clean loss."""
    optimizer.zero_grad()
    F.cross_entropy(model(x), y).backward()
    noise = torch.zeros_like(x, requires_grad=True)
    for _ in range(steps):
        harder = F.cross_entropy(model(x + noise), y) / steps
        harder.backward()
        noise.data = (noise + 0.1 * noise.grad.sign()).data
        noise.grad.zero_()
    optimizer.step()


def apart(x, y):
    """The attack writes the gradient of its input alone."""
    noisy = x.clone().requires_grad_()
    F.cross_entropy(model(noisy), y).backward(inputs=[noisy])
    optimizer.zero_grad()
    F.cross_entropy(model(x + 0.1 * noisy.grad.sign()), y).backward()
    optimizer.step()


for _ in range(6):
    free(*batch())
for _ in range(6):
    enlarged(*batch())
for _ in range(6):
    apart(*batch())
