"""Residual MLP whose blocks are recomputed in backward."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint, checkpoint_sequential


class ResidualBlock(nn.Module):
    def __init__(self, dim, p=0.1):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.up = nn.Linear(dim, 2 * dim)
        self.drop = nn.Dropout(p)
        self.down = nn.Linear(2 * dim, dim)

    def forward(self, x):
        return x + self.down(self.drop(F.silu(self.up(self.norm(x)))))


class DeepNet(nn.Module):
    def __init__(self, dim=16, depth=4, classes=3):
        super().__init__()
        self.stem = nn.Linear(6, dim)
        self.blocks = nn.ModuleList(ResidualBlock(dim) for _ in range(depth))
        self.tail = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim), nn.ReLU())
        self.head = nn.Linear(dim, classes)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.training else block(x)
        x = checkpoint_sequential(self.tail, 2, x, use_reentrant=False)
        return self.head(x)


def spiral(n):
    y = torch.randint(0, 3, (n,))
    r = torch.rand(n)
    angle = 4 * r + 2.1 * y + 0.1 * torch.randn(n)
    xy = torch.stack([r * angle.sin(), r * angle.cos()], dim=1)
    return torch.cat([xy, xy**2, xy.sin()], dim=1), y


if __name__ == "__main__":
    torch.manual_seed(0)
    model = DeepNet()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for it in range(20):
        model.train()
        x, y = spiral(48)
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if it % 5 == 0:
            model.eval()
            with torch.no_grad():
                x, y = spiral(64)
                acc = (model(x).argmax(1) == y).float().mean().item()
            print(f"it {it} loss {loss.item():.4f} accuracy {acc:.3f}")
