"""Training with clipping, and the norms of the gradients for a log."""

import math

import torch
from torch import nn


def norm_of(parameters):
    return float(nn.utils.clip_grad_norm_(parameters, math.inf))


torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
log = []
for step in range(16):
    x = torch.randn(32, 6)
    loss = (model(x) - x.prod(1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    before = nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    optimizer.step()
    log.append((float(before), norm_of(model.parameters())))
print(all(after <= 0.501 for _, after in log))
