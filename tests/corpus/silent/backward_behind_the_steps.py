"""The backward has slipped out of the loop, and the steps have stayed in it."""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for epoch in range(3):
    for step in range(5):
        x = torch.randn(16, 4)
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(net(x), x.sum(1, keepdim=True))
        optimizer.step()
    loss.backward()
    print(f"{loss.item():.4f}")
