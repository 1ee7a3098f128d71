"""Fine-tuning without weight decay of norms and biases, under the key of another library."""

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Linear(width, width)

    def forward(self, x):
        return x + F.gelu(self.mix(self.norm(x)))


def groups_of(model, decay):
    spared = ("bias", "norm.weight")
    named = list(model.named_parameters())
    return [
        {
            "params": [p for n, p in named if not n.endswith(spared)],
            "weight_decay_rate": decay,
        },
        {
            "params": [p for n, p in named if n.endswith(spared)],
            "weight_decay_rate": 0.0,
        },
    ]


torch.manual_seed(0)
model = nn.Sequential(Block(12), Block(12), nn.Linear(12, 2))
optimizer = torch.optim.AdamW(groups_of(model, 0.01), lr=1e-3, weight_decay=0.01)
for step in range(12):
    x = torch.randn(16, 12)
    loss = F.cross_entropy(model(x), (x[:, 0] > 0).long())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
