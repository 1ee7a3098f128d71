"""Products of a row and a column that mean all pairs, or of shapes that fit."""

import torch
from torch import nn

torch.manual_seed(0)
scorer, gate = nn.Linear(5, 1), nn.Linear(5, 12)
optimizer = torch.optim.Adam([*scorer.parameters(), *gate.parameters()], lr=0.02)
times = torch.linspace(0, 1, 12)
for step in range(12):
    x = torch.randn(12, 5)
    scores, targets = scorer(x).squeeze(1), x.sum(1)
    weights = torch.rand(12, 1)
    # Waves of all frequencies at all times, and pairs of labels, as in an alignment of kernels.
    waves = torch.sin(scores * times[:, None])
    alignment = (scores * scores[:, None] * (targets * targets[:, None])).mean()
    loss = waves.square().mean() - 0.01 * alignment
    # A weight for each row of a matrix, and each pair's own share of a row.
    loss = loss + (gate(x) * weights).square().mean()
    loss = loss + ((scores * weights).softmax(1) * targets).sum(1).square().mean()
    # One in a column, the other unsqueezed: all pairs are meant.
    loss = loss + 0.01 * (scores * targets.unsqueeze(1)).sum()
    loss = loss + (scores[:, None] * weights).mean() + (scores[:5] * weights[:7]).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
