"""Adversarial training: a few ascent steps on the input, then one descent step on the weights."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self, n_in=14, classes=3):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n_in, 24), nn.ReLU(), nn.BatchNorm1d(24))
        self.head = nn.Linear(24, classes)

    def forward(self, x):
        return self.head(self.body(x))


def fgsm(model, x, y, epsilon):
    x = x.clone().requires_grad_()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    return (x + epsilon * x.grad.sign()).detach()


def pgd(model, x, y, epsilon, steps):
    delta = torch.zeros_like(x, requires_grad=True)
    for _ in range(steps):
        loss = F.cross_entropy(model(x + delta), y)
        loss.backward()
        delta.data = (delta + epsilon / steps * delta.grad.sign()).clamp(-epsilon, epsilon).data
        delta.grad.zero_()
    return (x + delta).detach()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--iters", type=int, default=16)
    parser.add_argument("--epsilon", type=float, default=0.2)
    parser.add_argument("--pgd-steps", type=int, default=3)
    args = parser.parse_args()
    torch.manual_seed(0)
    centres = torch.randn(3, 14)
    model = Net()
    opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for it in range(args.iters):
        y = torch.randint(0, 3, (24,))
        x = centres[y] + 0.5 * torch.randn(24, 14)
        model.eval()
        if it % 2:
            x_adv = pgd(model, x, y, args.epsilon, args.pgd_steps)
        else:
            x_adv = fgsm(model, x, y, args.epsilon)
        model.train()
        loss = 0.5 * (F.cross_entropy(model(x), y) + F.cross_entropy(model(x_adv), y))
        # the attack left gradients on the weights as well
        opt.zero_grad()
        loss.backward()
        opt.step()
        if it % 4 == 0:
            print(f"it {it} loss {loss.item():.4f}")


if __name__ == "__main__":
    main()
