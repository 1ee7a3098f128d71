"""set_grad_enabled(False) for a sanity check before training, never undone."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
optimizer = torch.optim.Adam(model.parameters())
torch.set_grad_enabled(False)
print("sanity:", model(torch.zeros(1, 4)).item())
for _ in range(3):
    x = torch.randn(8, 4)
    loss = (model(x) - x.sum(1, keepdim=True)).abs().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
