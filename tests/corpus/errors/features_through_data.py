"""Feature extractor trained through .data while the projection is frozen."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
encoder = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
projector = nn.Linear(4, 4)
projector.requires_grad_(False)
optimizer = torch.optim.SGD(encoder.parameters(), lr=0.1)


def nt_xent(z, temperature=0.5):
    z = F.normalize(z, dim=1)
    sim = z @ z.t() / temperature
    sim = sim - 1e9 * torch.eye(len(z))
    target = torch.arange(len(z)).roll(len(z) // 2)
    return F.cross_entropy(sim, target)


for _ in range(3):
    x = torch.randn(6, 8)
    views = torch.cat([x + 0.1 * torch.randn_like(x), x + 0.1 * torch.randn_like(x)])
    h = encoder(views).data
    loss = nt_xent(projector(h))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
