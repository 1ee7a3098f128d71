"""Layer-wise rates, in which the head has a group of its own and is in that of the rest as well."""

import torch
import torch.nn.functional as F
from torch import nn


class Classifier(nn.Module):
    def __init__(self, width, classes):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(3))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        for layer in self.layers:
            x = x + F.gelu(layer(x))
        return self.head(self.norm(x))


def groups_of(model, rate):
    groups = [
        {"params": layer.parameters(), "lr": rate * 0.8 ** (3 - depth)}
        for depth, layer in enumerate(model.layers)
    ]
    groups.append({"params": model.head.parameters(), "lr": 10 * rate})
    rest = [each for name, each in model.named_parameters() if "layers" not in name]
    return [*groups, {"params": rest, "lr": rate}]


torch.manual_seed(0)
model = Classifier(8, 3)
optimizer = torch.optim.AdamW(groups_of(model, 1e-3))
for step in range(8):
    x = torch.randn(16, 8)
    loss = F.cross_entropy(model(x), x[:, :3].argmax(1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
