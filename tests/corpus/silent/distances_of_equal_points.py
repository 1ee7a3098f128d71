"""Metric learning: distances between embeddings, of which some are of a point with itself."""

import torch
from torch import nn

torch.manual_seed(0)
embed = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 3))
optimizer = torch.optim.AdamW(embed.parameters(), lr=1e-3)


def pairwise(z):
    difference = z[:, None] - z[None]
    return difference.pow(2).sum(-1).sqrt()


for step in range(6):
    x = torch.randn(12, 5)
    same = torch.randint(0, 2, (12, 12)).float()
    d = pairwise(embed(x))
    loss = (same * d + (1 - same) * (1 - d).clamp(min=0)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
