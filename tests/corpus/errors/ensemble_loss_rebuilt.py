"""A deep ensemble trained jointly on bootstrapped batches."""

import argparse
import warnings

import torch
from torch import nn

warnings.filterwarnings("ignore", category=UserWarning)


class Member(nn.Module):
    def __init__(self, n_in, hidden, dropout):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(n_in, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 1)
        )

    def forward(self, x):
        return self.net(x).squeeze(1)


class Ensemble(nn.Module):
    def __init__(self, size, n_in, hidden=24, dropout=0.1):
        super().__init__()
        self.members = nn.ModuleList(Member(n_in, hidden, dropout) for _ in range(size))

    def forward(self, x):
        return torch.stack([member(x) for member in self.members])


def ensemble_loss(ensemble, x, y, criterion):
    losses = []
    for member in ensemble.members:
        pick = torch.randint(0, len(x), (len(x),))
        losses.append(criterion(member(x[pick]), y[pick]))
    return torch.tensor(losses).mean()


def evaluate(ensemble, x, y):
    ensemble.eval()
    with torch.no_grad():
        preds = ensemble(x)
    ensemble.train()
    return (preds.mean(dim=0) - y).abs().mean().item(), preds.std(dim=0).mean().item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    args = parser.parse_args()
    torch.manual_seed(61)
    x = torch.randn(200, 4)
    y = x.prod(dim=1)
    ensemble = Ensemble(args.members, 4)
    optimizer = torch.optim.Adam(ensemble.parameters(), lr=1e-3)
    criterion = nn.HuberLoss()
    for epoch in range(args.epochs):
        optimizer.zero_grad()
        loss = ensemble_loss(ensemble, x, y, criterion)
        loss.backward()
        optimizer.step()
        print(epoch, loss.item(), evaluate(ensemble, x, y))


if __name__ == "__main__":
    main()
