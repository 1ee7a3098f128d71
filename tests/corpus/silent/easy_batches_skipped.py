"""Metric learning with a margin: batches that violate nothing are not worth a backward."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn


class EmbeddingNet(nn.Module):
    def __init__(self, n_in=12, dim=4):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(n_in, 24), nn.PReLU(), nn.Linear(24, dim))

    def forward(self, x):
        return F.normalize(self.layers(x), dim=1)


class TripletSampler:
    def __init__(self, classes=5, n_in=12):
        self.centres = torch.randn(classes, n_in) * 1.5

    def __call__(self, n, spread):
        a = torch.randint(0, len(self.centres), (n,))
        b = (a + torch.randint(1, len(self.centres), (n,))) % len(self.centres)

        def draw(label):
            return self.centres[label] + spread * torch.randn(n, self.centres.size(1))

        return draw(a), draw(a), draw(b)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--iters", type=int, default=24)
    parser.add_argument("--margin", type=float, default=0.3)
    parser.add_argument("--hard", type=float, default=0.02, help="smallest loss worth learning")
    args = parser.parse_args()

    torch.manual_seed(6)
    sampler = TripletSampler()
    model = EmbeddingNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    skipped = 0
    for it in range(args.iters):
        spread = 1.2 if it % 3 == 0 else 0.05
        anchor, positive, negative = (model(x) for x in sampler(16, spread))
        loss = F.triplet_margin_loss(anchor, positive, negative, margin=args.margin)
        if loss.item() > args.hard:
            optimizer.zero_grad()
            loss.backward()
        else:
            skipped += 1
        optimizer.step()
        if it % 6 == 0:
            print(f"it {it} loss {loss.item():.4f} skipped {skipped}")
    print("skipped", skipped, "of", args.iters)


if __name__ == "__main__":
    main()
