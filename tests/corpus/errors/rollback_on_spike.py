"""Regression that goes back to the last good weights when the loss spikes."""

import argparse
import copy

import torch
from torch import nn


class Regressor(nn.Module):
    def __init__(self, n_in, n_hidden):
        super().__init__()
        self.fc1 = nn.Linear(n_in, n_hidden)
        self.fc2 = nn.Linear(n_hidden, 1)

    def forward(self, x):
        h = torch.tanh(self.fc1(x))
        return self.fc2(h)


class SpikeGuard:
    def __init__(self, model, factor):
        self.model = model
        self.factor = factor
        self.best = float("inf")
        self.snapshot = copy.deepcopy(model.state_dict())

    def check(self, loss):
        value = loss.item()
        if value < self.best:
            self.best = value
            self.snapshot = copy.deepcopy(self.model.state_dict())
        elif value > self.factor * self.best:
            print(f"spike: {value:.2f} after {self.best:.2f}, restoring weights")
            self.model.load_state_dict(self.snapshot)


def batches(n, bad_every):
    for i in range(n):
        x = torch.randn(32, 5)
        y = x.sum(dim=1, keepdim=True)
        if i and i % bad_every == 0:
            y = y * 20  # a few records were logged in other units
        yield x, y


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--factor", type=float, default=4.0)
    args = parser.parse_args()
    torch.manual_seed(4)
    model = Regressor(5, 16)
    guard = SpikeGuard(model, args.factor)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr)
    criterion = nn.MSELoss()
    for i, (x, y) in enumerate(batches(20, bad_every=6)):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        guard.check(loss)
        loss.backward()
        optimizer.step()
        print(f"{i:3d} {loss.item():.4f}")


if __name__ == "__main__":
    main()
