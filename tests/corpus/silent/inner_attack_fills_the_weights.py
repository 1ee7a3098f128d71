"""Adversarial training of a small classifier of signals, by three steps of projected ascent."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(9)


class Signals(nn.Module):
    def __init__(self, length=12, classes=3):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(length, 20), nn.Tanh())
        self.head = nn.Linear(20, classes)

    def forward(self, x):
        return self.head(self.body(x))


def perturbed(model, x, y, radius=0.2, steps=3):
    noise = torch.empty_like(x).uniform_(-radius, radius)
    noise.requires_grad_(True)
    for _ in range(steps):
        ascent = F.cross_entropy(model(x + noise), y)
        ascent.backward()
        with torch.no_grad():
            noise += radius / steps * noise.grad.sign()
            noise.clamp_(-radius, radius)
            noise.grad.zero_()
    return (x + noise).detach()


model = Signals()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for iteration in range(12):
    y = torch.randint(0, 3, (16,))
    x = torch.randn(16, 12) + y.unsqueeze(1)
    optimizer.zero_grad()
    hard = perturbed(model, x, y)
    descent = F.cross_entropy(model(hard), y)
    descent.backward()
    optimizer.step()
