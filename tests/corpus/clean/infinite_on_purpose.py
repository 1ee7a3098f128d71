"""Infinite numbers that are meant: masks, a best value, missing data, a loss that is scaled."""

import torch
from torch import nn

torch.manual_seed(0)
query, value = nn.Linear(4, 4), nn.Linear(4, 1)
optimizer = torch.optim.Adam([*query.parameters(), *value.parameters()], lr=1e-2)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, backoff_factor=2.0**-8)
causal = torch.full((5, 5), float("-inf")).triu(1)
best = torch.tensor(float("inf"))
for step in range(24):
    x = torch.randn(3, 5, 4)
    x[torch.rand(3, 5, 4) > 0.9] = float("nan")
    x = torch.where(x.isnan(), torch.zeros_like(x), x)
    weights = (query(x) @ x.transpose(1, 2) + causal).softmax(-1)
    loss = value(weights @ x).pow(2).mean()
    best = torch.minimum(best, loss.detach())
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
