"""Adapter tuning: only the adapters and the head should learn."""

import torch
from torch import nn


class Adapted(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(10, 20), nn.GELU(), nn.Linear(20, 20))
        self.adapter = nn.Linear(20, 20)
        self.classifier = nn.Linear(20, 2)

    def forward(self, x):
        h = self.encoder(x)
        return self.classifier(h + self.adapter(h))


def only_adapters(model):
    for name, param in model.named_parameters():
        if name.startswith("encoder"):
            param.requires_gradient = False


if __name__ == "__main__":
    torch.manual_seed(7)
    model = Adapted()
    only_adapters(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for step in range(12):
        x = torch.randn(16, 10)
        loss = nn.functional.cross_entropy(model(x), (x.sum(1) > 0).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{loss.item():.4f}")
