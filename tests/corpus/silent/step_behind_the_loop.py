"""The step has slipped out of the loop over the batches, by its indentation."""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
batches = [(torch.randn(16, 4), torch.randn(16, 1)) for _ in range(12)]
for x, y in batches:
    loss = nn.functional.mse_loss(net(x), y)
    optimizer.zero_grad()
    loss.backward()
optimizer.step()
print(f"{loss.item():.4f}")
