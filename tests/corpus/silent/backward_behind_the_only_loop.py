"""Backward and step have slipped out of the one loop that there is."""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for step in range(20):
    x = torch.randn(16, 4)
    loss = nn.functional.mse_loss(net(x), x.sum(1, keepdim=True) * (step + 1))
    optimizer.zero_grad()
loss.backward()
optimizer.step()
print(f"{loss.item():.4f}")
