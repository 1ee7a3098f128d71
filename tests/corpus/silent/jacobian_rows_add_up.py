"""Rows of a Jacobian that are taken from a gradient which each backward only adds to."""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 5))
x = torch.randn(4, requires_grad=True)
rows = []
out = net(x)
for i in range(5):
    out[i].backward(retain_graph=True)
    rows.append(x.grad.clone())
jac = torch.stack(rows)
print(jac.shape, f"{jac[-1].norm():.4f}")
