"""A slope and a level are stepped by hand, from their data, so that no graph records the step."""

import torch

torch.manual_seed(4)
hours = torch.linspace(0, 1, 40)
heights = 3 * hours + 2 + 0.1 * torch.randn(40)
slope = torch.randn(1, requires_grad=True)
level = torch.randn(1, requires_grad=True)
for epoch in range(12):
    error = ((slope * hours + level - heights) ** 2).mean()
    error.backward()
    slope = slope.data - 0.1 * slope.grad
    level = level.data - 0.1 * level.grad
    print(epoch, round(error.item(), 3))
