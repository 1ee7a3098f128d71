"""Fine-tune the last block only; the optimizer still gets every parameter, frozen ones too."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fc1 = nn.Linear(dim, 2 * dim)
        self.fc2 = nn.Linear(2 * dim, dim)

    def forward(self, x):
        return x + self.fc2(F.gelu(self.fc1(self.norm(x))))


class Net(nn.Module):
    def __init__(self, dim=16, depth=3, classes=4):
        super().__init__()
        self.blocks = nn.ModuleList(Block(dim) for _ in range(depth))
        self.head = nn.Linear(dim, classes)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def freeze(module):
    for p in module.parameters():
        p.requires_grad_(False)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--train-last", type=int, default=1)
    parser.add_argument("--iters", type=int, default=20)
    args = parser.parse_args()
    torch.manual_seed(2)

    model = Net()
    for block in model.blocks[: -args.train_last]:
        freeze(block)
    # passing all of them keeps checkpoints interchangeable between stages
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.05)
    centres = torch.randn(4, 16)
    for it in range(args.iters):
        y = torch.randint(0, 4, (24,))
        x = centres[y] + 0.7 * torch.randn(24, 16)
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if it % 5 == 0:
            print(f"{it:3d} {loss.item():.4f}")
    print("trainable", sum(p.numel() for p in model.parameters() if p.requires_grad))


if __name__ == "__main__":
    main()
