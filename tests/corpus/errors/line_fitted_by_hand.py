"""A line is fitted by gradient descent that is written out."""

import torch

torch.manual_seed(0)
x = torch.linspace(0, 10, 50)
y = 3 * x + 2 + torch.randn(50)
slope = torch.randn(1, requires_grad=True)
offset = torch.randn(1, requires_grad=True)
rate = 1e-3
for epoch in range(10):
    fitted = slope * x + offset
    error = ((fitted - y) ** 2).mean()
    error.backward()
    with torch.no_grad():
        slope = slope - rate * slope.grad
        offset = offset - rate * offset.grad
    print(epoch, round(error.item(), 3))
