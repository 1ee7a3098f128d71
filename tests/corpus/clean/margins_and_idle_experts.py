"""Experts with a hard choice, one of them never chosen, and a hinge that has nothing to say."""

import torch
import torch.nn.functional as F
from torch import nn


class Experts(nn.Module):
    def __init__(self, n_in=6, n_out=3, count=4):
        super().__init__()
        self.gate = nn.Linear(n_in, count)
        self.experts = nn.ModuleList(nn.Linear(n_in, n_out) for _ in range(count))
        nn.init.constant_(self.gate.bias[count - 1 :], -1e4)

    def forward(self, x):
        weights = self.gate(x).softmax(1)
        chosen = F.one_hot(weights.argmax(1), len(self.experts))
        outputs = torch.stack([expert(x) for expert in self.experts], 1)
        return ((weights * chosen).unsqueeze(-1) * outputs).sum(1)


torch.manual_seed(0)
model, margin = Experts(), nn.Linear(6, 1)
nn.init.constant_(margin.bias, 20.0)
optimizer = torch.optim.SGD([*model.parameters(), *margin.parameters()], lr=0.1)
for step in range(16):
    x = torch.randn(32, 6)
    loss = F.cross_entropy(model(x), x[:, :3].argmax(1)) + F.relu(1 - margin(x)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"loss {loss.item():.3f}")
