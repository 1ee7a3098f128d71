"""No torch.optim at all: the update rule is four lines under no_grad."""

import math

import torch
from torch import nn


class Polynomial(nn.Module):
    def __init__(self):
        super().__init__()
        self.coefficients = nn.Parameter(0.1 * torch.randn(4))

    def forward(self, x):
        return torch.stack([x**i for i in range(4)], dim=1) @ self.coefficients


class Momentum:
    """A home-made optimizer; not a torch.optim.Optimizer."""

    def __init__(self, model, lr, mu=0.8):
        self.model, self.lr, self.mu = model, lr, mu
        self.velocity = {name: torch.zeros_like(p) for name, p in model.named_parameters()}

    @torch.no_grad()
    def apply(self):
        for name, p in self.model.named_parameters():
            self.velocity[name].mul_(self.mu).add_(p.grad)
            p -= self.lr * self.velocity[name]
            p.grad = None


def main():
    torch.manual_seed(0)
    x = torch.linspace(-math.pi, math.pi, 200)
    y = torch.sin(x)

    # first with bare tensors
    w = torch.randn((), requires_grad=True)
    b = torch.zeros((), requires_grad=True)
    for _ in range(20):
        loss = ((w * x + b - y) ** 2).mean()
        loss.backward()
        with torch.no_grad():
            w -= 0.05 * w.grad
            b -= 0.05 * b.grad
            w.grad.zero_()
            b.grad.zero_()
    print(f"line {loss.item():.4f}")

    # then with a module
    model = Polynomial()
    rule = Momentum(model, lr=4e-4)
    for it in range(60):
        loss = (model(x) - y).pow(2).mean()
        loss.backward()
        rule.apply()
        if it % 20 == 0:
            print(f"it {it} cubic {loss.item():.4f}")


if __name__ == "__main__":
    main()
