"""Gradients of inputs that are read in each turn and cleared, shown as they add up, or added up on
purpose and read behind the loop."""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 5))
x = torch.randn(4, requires_grad=True)
rows = []
out = net(x)
for i in range(5):
    x.grad = None
    out[i].backward(retain_graph=True)
    rows.append(x.grad.clone())
for i in range(5):
    if x.grad is not None:
        x.grad.zero_()
    net(x)[i].backward()
    rows.append(x.grad.clone())
y = torch.tensor(2.0, requires_grad=True)
for i in range(5):
    (y * y).backward()
    print(y.grad)
z = torch.randn(4, requires_grad=True)
for i in range(5):
    net(z + 0.1 * torch.randn(4)).sum().backward()
smooth = z.grad / 5
print(torch.stack(rows).shape, smooth.shape)
