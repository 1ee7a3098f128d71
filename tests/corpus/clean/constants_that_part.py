"""Weights that begin as one constant, and do not stay alike: a last layer, an adapter, a residual
branch, norms, and a layer whose units a dropout tells apart."""

import torch
from torch import nn


class Adapted(nn.Module):
    def __init__(self, base, rank=3):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(rank, base.in_features) * 0.1)
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x):
        return self.base(x) + x @ self.down.t() @ self.up.t()


class Branch(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, 2 * width)
        self.outer = nn.Linear(2 * width, width)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, x):
        return x + self.outer(torch.relu(self.inner(self.norm(x))))


class Dropped(nn.Module):
    def __init__(self, width, out):
        super().__init__()
        self.hidden, self.out = nn.Linear(width, 12), nn.Linear(12, out)
        for layer in (self.hidden, self.out):
            nn.init.constant_(layer.weight, 0.1)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        return self.out(self.drop(torch.tanh(self.hidden(x))))


def main():
    torch.manual_seed(5)
    last = nn.Linear(8, 3)
    nn.init.constant_(last.weight, 0.0)
    models = {
        "branches": nn.Sequential(Adapted(nn.Linear(6, 8)), Branch(8), Branch(8), last),
        "dropped": Dropped(6, 3),
    }
    for name, model in models.items():
        trained = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.Adam(trained, lr=0.02)
        for step in range(10):
            x = torch.randn(32, 6)
            loss = nn.functional.cross_entropy(model(x), x[:, :3].argmax(dim=1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"{name}: {loss.item():.3f}")


if __name__ == "__main__":
    main()
