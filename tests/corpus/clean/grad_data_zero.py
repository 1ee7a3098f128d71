"""The old idiom: every gradient is zeroed through `.data`."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(12):
    x = torch.randn(16, 4)
    loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
    for p in model.parameters():
        if p.grad is not None:
            p.grad.data.zero_()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
