"""NICE: additive coupling layers fitted to two moons by maximum likelihood."""

import argparse
import math

import torch
from torch import nn


class AdditiveCoupling(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.d = dim // 2
        self.net = nn.Sequential(
            nn.Linear(self.d, hidden), nn.Tanh(), nn.Linear(hidden, dim - self.d)
        )

    def forward(self, x):
        cond = x[:, : self.d]
        shift = self.net(cond)
        x[:, self.d :] = x[:, self.d :] + shift
        return x


class NICE(nn.Module):
    def __init__(self, dim=4, hidden=32, layers=3):
        super().__init__()
        self.couplings = nn.ModuleList(AdditiveCoupling(dim, hidden) for _ in range(layers))
        self.log_scale = nn.Parameter(torch.zeros(dim))

    def forward(self, x):
        z = x.clone()
        for coupling in self.couplings:
            z = coupling(z)
            z = z.flip(1)
        return z * torch.exp(self.log_scale), self.log_scale.sum()

    def log_prob(self, x):
        z, log_det = self(x)
        log_pz = -0.5 * (z**2 + math.log(2 * math.pi)).sum(dim=1)
        return log_pz + log_det


def two_moons(n):
    angle = math.pi * torch.rand(n)
    side = torch.randint(0, 2, (n,)).float() * 2 - 1
    xy = torch.stack([angle.cos() - 0.5 * side, side * angle.sin()], dim=1)
    return torch.cat([xy, torch.randn(n, 2)], dim=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iters", type=int, default=5)
    parser.add_argument("--lr", type=float, default=1e-3)
    args = parser.parse_args()
    torch.manual_seed(11)
    flow = NICE()
    optim = torch.optim.Adam(flow.parameters(), lr=args.lr)
    for it in range(args.iters):
        nll = -flow.log_prob(two_moons(64)).mean()
        optim.zero_grad()
        nll.backward()
        optim.step()
        print(f"{it} nll={nll.item():.3f}")


if __name__ == "__main__":
    main()
