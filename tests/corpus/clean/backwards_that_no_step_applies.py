"""Sharpness-aware steps, and an attack on the input: backwards whose gradients are used otherwise."""

import torch
from torch import nn
from torch.nn import functional as F


def climb(parameters, rho=0.05):
    with torch.no_grad():
        moves = [rho * p.grad / (p.grad.norm() + 1e-12) for p in parameters]
        for p, move in zip(parameters, moves):
            p.add_(move)
    return moves


torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 12), nn.Tanh(), nn.Linear(12, 3))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
parameters = [*net.parameters()]
for step in range(8):
    x, y = torch.randn(16, 4), torch.randint(0, 3, (16,))
    F.cross_entropy(net(x), y).backward()
    moves = climb(parameters)
    optimizer.zero_grad()
    loss = F.cross_entropy(net(x), y)
    loss.backward()
    with torch.no_grad():
        for p, move in zip(parameters, moves):
            p.sub_(move)
    optimizer.step()
    optimizer.zero_grad()

for step in range(8):
    x, y = torch.randn(16, 4), torch.randint(0, 3, (16,))
    attacked = x.clone().requires_grad_(True)
    F.cross_entropy(net(attacked), y).backward()
    moved = (attacked + 0.1 * attacked.grad.sign()).detach()
    optimizer.zero_grad()
    robust = F.cross_entropy(net(moved), y)
    robust.backward()
    optimizer.step()
    optimizer.zero_grad()
print(f"{loss.item():.4f} {robust.item():.4f}")
