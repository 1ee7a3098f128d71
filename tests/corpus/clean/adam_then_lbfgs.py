"""Fit of a curve: Adam first, then L-BFGS. Both optimizers are built at the start."""

import torch
from torch import nn

torch.manual_seed(0)
x = torch.linspace(-1, 1, 64)[:, None]
y = torch.sin(3 * x) + 0.3 * x
net = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
adam = torch.optim.Adam(net.parameters(), lr=1e-2)
lbfgs = torch.optim.LBFGS(net.parameters(), max_iter=10, line_search_fn="strong_wolfe")


def loss_of():
    return (net(x) - y).square().mean()


for _ in range(40):
    adam.zero_grad()
    loss = loss_of()
    loss.backward()
    adam.step()


def closure():
    lbfgs.zero_grad()
    loss = loss_of()
    loss.backward()
    return loss


for _ in range(3):
    lbfgs.step(closure)
print(f"adam {loss.item():.2e} after lbfgs below it: {loss_of().item() < loss.item()}")
