"""Lookahead, whose slow weights are the fast ones: a list of references."""

import torch
import torch.nn.functional as F
from torch import nn


class Lookahead:
    def __init__(self, optimizer, k=3, alpha=0.5):
        self.optimizer, self.k, self.alpha, self.steps = optimizer, k, alpha, 0
        groups = optimizer.param_groups
        self.slow = [[p.data for p in group["params"]] for group in groups]

    def step(self):
        self.optimizer.step()
        self.steps += 1
        if self.steps % self.k == 0:
            for group, slow in zip(self.optimizer.param_groups, self.slow, strict=True):
                for p, q in zip(group["params"], slow, strict=True):
                    q.add_(p.data - q, alpha=self.alpha)
                    p.data.copy_(q)


torch.manual_seed(0)
model = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 2))
base = torch.optim.Adam(model.parameters(), lr=1e-2)
optimizer = Lookahead(base)
x, y = torch.randn(32, 5), torch.randint(0, 2, (32,))
for step in range(9):
    base.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    print(step, loss.item())
