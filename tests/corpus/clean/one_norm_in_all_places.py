"""One normalisation for all places of a network: shared, perhaps on purpose."""

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width=8, depth=3):
        super().__init__()
        norm = nn.BatchNorm1d(width)
        layers = []
        for _ in range(depth):
            layers.append(nn.Linear(width, width))
            layers.append(norm)
        self.blocks = nn.ModuleList(layers)
        self.out = nn.Linear(width, 1)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.out(x)


if __name__ == "__main__":
    torch.manual_seed(14)
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(10):
        x = torch.randn(16, 8)
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{loss.item():.4f}")
