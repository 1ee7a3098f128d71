"""Memory-saving training: every parameter has its own optimizer, stepped while backward runs."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn


class PatchMixer(nn.Module):
    def __init__(self, patches=6, dim=12, classes=3):
        super().__init__()
        self.embed = nn.Linear(4, dim)
        self.norm = nn.LayerNorm(dim)
        self.across = nn.Linear(patches, patches)
        self.within = nn.Linear(dim, dim)
        self.head = nn.Linear(dim, classes)

    def forward(self, x):
        x = self.embed(x)
        x = x + self.across(self.norm(x).transpose(1, 2)).transpose(1, 2)
        x = x + F.gelu(self.within(x))
        return self.head(x.mean(dim=1))


def fuse_optimizer(model, lr):
    optimizers = {p: torch.optim.Adam([p], lr=lr, foreach=False) for p in model.parameters()}

    def optimizer_hook(parameter):
        optimizers[parameter].step()
        optimizers[parameter].zero_grad()

    for p in model.parameters():
        p.register_post_accumulate_grad_hook(optimizer_hook)
    return optimizers


def make_batch(n, templates):
    y = torch.randint(0, len(templates), (n,))
    return templates[y] + 0.5 * torch.randn(n, 6, 4), y


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--iters", type=int, default=20)
    parser.add_argument("--lr", type=float, default=5e-3)
    args = parser.parse_args()
    torch.manual_seed(0)
    templates = torch.randn(3, 6, 4)
    model = PatchMixer()
    optimizers = fuse_optimizer(model, args.lr)
    for it in range(args.iters):
        x, y = make_batch(24, templates)
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        if it % 5 == 0:
            print(f"it {it} loss {loss.item():.4f}")
    print("optimizers", len(optimizers))


if __name__ == "__main__":
    main()
