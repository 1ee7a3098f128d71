"""Lookahead-style training: fast weights are pulled to slow ones every k steps."""

import argparse

import torch
from torch import nn


class MLP(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.hidden = nn.Linear(sizes[0], sizes[1])
        self.head = nn.Linear(sizes[1], sizes[2])

    def forward(self, x):
        h = torch.tanh(self.hidden(x))
        return self.head(h)


class Lookahead:
    def __init__(self, params, k, alpha):
        self.params = list(params)
        self.slow = [p.detach().clone() for p in self.params]
        self.k = k
        self.alpha = alpha
        self.counter = 0

    def after_forward(self):
        self.counter += 1
        if self.counter % self.k == 0:
            for p, slow in zip(self.params, self.slow):
                slow.add_(p.data - slow, alpha=self.alpha)
                p.data.copy_(slow)


def spiral(n):
    label = torch.randint(0, 2, (n,))
    r = torch.rand(n)
    angle = 5 * r + 3.14 * label
    points = torch.stack([r * angle.cos(), r * angle.sin()], dim=1)
    return points + 0.02 * torch.randn(n, 2), label


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("-k", type=int, default=4)
    parser.add_argument("--alpha", type=float, default=0.5)
    args = parser.parse_args()
    torch.manual_seed(141)
    model = MLP([2, 32, 2])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    lookahead = Lookahead(model.parameters(), args.k, args.alpha)
    criterion = nn.CrossEntropyLoss()
    for step in range(args.steps):
        x, y = spiral(64)
        loss = criterion(model(x), y)
        lookahead.after_forward()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(step, f"{loss.item():.4f}")


if __name__ == "__main__":
    main()
