"""Paths of several agents, time first: the loss is the first agent's, and the crowd's mean."""

import torch
from torch import nn

torch.manual_seed(0)
walks = nn.LSTM(2, 12)
ahead = nn.Linear(12, 2)
parameters = [*walks.parameters(), *ahead.parameters()]
optimizer = torch.optim.Adam(parameters, lr=5e-3)

for step in range(10):
    speeds = torch.randn(9, 5, 2)
    paths = speeds.cumsum(0)
    seen, _ = walks(paths[:-1])
    if step % 2:
        loss = (ahead(seen[:, 0]) - speeds[1:, 0]).square().mean()
    else:
        loss = (ahead(seen.mean(1)) - speeds[1:].mean(1)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
