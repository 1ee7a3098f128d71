"""Contrastive pairs: bounded similarities, times a learned scale, are logits."""

import torch
import torch.nn.functional as F
from torch import nn


class Pairs(nn.Module):
    def __init__(self, n=6, width=12):
        super().__init__()
        self.left, self.right = nn.Linear(n, width), nn.Linear(n, width)
        self.log_scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, a, b):
        likeness = torch.sigmoid(self.left(a) @ self.right(b).t())
        return self.log_scale.exp() * likeness


torch.manual_seed(0)
model = Pairs()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for step in range(16):
    a = torch.randn(12, 6)
    logits = model(a, a + 0.1 * torch.randn_like(a))
    labels = torch.arange(12)
    loss = (F.cross_entropy(logits, labels) + F.cross_entropy(logits.t(), labels)) / 2
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"loss {loss.item():.3f}")
