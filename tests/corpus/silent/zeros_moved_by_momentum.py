"""Training on batches with labels; the step is taken on those without labels too."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
total, count = 0.0, 0
for step in range(24):
    x = torch.randn(16, 5)
    y = (x[:, 0] > 0).long() if step % 3 else None
    optimizer.zero_grad(set_to_none=False)
    if y is not None:
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        total, count = total + loss.item(), count + 1
    optimizer.step()
print(f"loss {total / count:.3f}")
