"""The auxiliary loss is switched on after a warm-up."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.ModuleDict({"main": nn.Linear(4, 1), "aux": nn.Linear(4, 1)})
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for step in range(60):
    x = torch.randn(16, 4)
    loss = (model["main"](x) - x.sum(1, keepdim=True)).square().mean()
    if step >= 40:  # the second loss is switched on after a warm-up
        loss = loss + model["aux"](x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
