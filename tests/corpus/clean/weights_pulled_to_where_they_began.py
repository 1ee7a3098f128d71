import copy

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
anchor = copy.deepcopy(model).requires_grad_(False)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for step in range(20):
    x = torch.randn(32, 6)
    loss = (model(x) - x.sum(dim=1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    # A decoupled penalty on what moves away from the start, in the place of weight decay.
    with torch.no_grad():
        for p, start in zip(model.parameters(), anchor.parameters(), strict=True):
            p.lerp_(start, 0.01)
print(f"loss {loss.item():.4f}")
