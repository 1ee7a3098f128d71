"""Four-fold cross validation of a small classifier."""

import argparse

import torch
from torch import nn


class TabularNet(nn.Module):
    def __init__(self, n_in, n_hidden, n_out):
        super().__init__()
        self.fc1 = nn.Linear(n_in, n_hidden)
        self.norm = nn.LayerNorm(n_hidden)
        self.fc2 = nn.Linear(n_hidden, n_out)

    def forward(self, x):
        return self.fc2(torch.relu(self.norm(self.fc1(x))))


def folds(n, k):
    chunks = torch.arange(n).chunk(k)
    for i in range(k):
        yield torch.cat([c for j, c in enumerate(chunks) if j != i]), chunks[i]


def train_fold(model, optimizer, x, y, epochs):
    criterion = nn.CrossEntropyLoss()
    model.train()
    for _ in range(epochs):
        for xb, yb in zip(x.split(30), y.split(30), strict=True):
            optimizer.zero_grad()
            loss = criterion(model(xb), yb)
            loss.backward()
            optimizer.step()
    return loss.item()


@torch.no_grad()
def evaluate(model, x, y):
    model.eval()
    return (model(x).argmax(dim=1) == y).float().mean().item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--k", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=4)
    args = parser.parse_args()

    torch.manual_seed(42)
    x = torch.randn(120, 8)
    y = (x[:, 0] + x[:, 1] > 0).long() + (x[:, 2] > 0.8).long()

    model = TabularNet(8, 20, 3)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    scores = []
    for fold, (train_idx, test_idx) in enumerate(folds(len(x), args.k)):
        # every fold starts from fresh weights
        model = TabularNet(8, 20, 3)
        loss = train_fold(model, optimizer, x[train_idx], y[train_idx], args.epochs)
        scores.append(evaluate(model, x[test_idx], y[test_idx]))
        print(f"fold {fold}: loss {loss:.4f} accuracy {scores[-1]:.3f}")
    print(f"mean accuracy {sum(scores) / len(scores):.3f}")


if __name__ == "__main__":
    main()
