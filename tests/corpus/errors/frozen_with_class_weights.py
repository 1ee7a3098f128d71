"""A weighted criterion made with torch.tensor; the cut is a frozen model."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(5, 10), nn.ReLU(), nn.Linear(10, 2))
head = model[2]
for p in model.parameters():
    p.requires_grad_(False)
optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)
for _ in range(3):
    x, y = torch.randn(8, 5), torch.randint(0, 2, (8,))
    out = model(x)
    loss = nn.functional.cross_entropy(out, y, weight=torch.tensor([1.0, 3.0]))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
