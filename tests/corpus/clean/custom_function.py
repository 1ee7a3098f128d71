"""Binarised network: a straight-through sign and a gradient reversal, both hand-made functions."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn


class BinaryActivation(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.where(x >= 0, 1.0, -1.0)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * (x.abs() <= 1).to(grad_output.dtype)


class ReverseGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, strength):
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad_output):
        return -ctx.strength * grad_output, None


class DomainNet(nn.Module):
    """Features that tell the classes apart and the domains not."""

    def __init__(self, n_in=10, width=20, classes=3):
        super().__init__()
        self.features = nn.Linear(n_in, width)
        self.classes = nn.Linear(width, classes)
        self.domain = nn.Sequential(nn.Linear(width, 12), nn.ReLU(), nn.Linear(12, 1))

    def forward(self, x, strength):
        h = BinaryActivation.apply(self.features(x))
        return self.classes(h), self.domain(ReverseGradient.apply(h, strength)).squeeze(1)


def draw(n, centres, domain):
    y = torch.randint(0, 3, (n,))
    return centres[y] + 0.6 * torch.randn(n, 10) + 0.5 * domain, y


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--iters", type=int, default=24)
    parser.add_argument("--reverse", type=float, default=0.3)
    args = parser.parse_args()
    torch.manual_seed(0)
    centres = torch.randn(3, 10)
    model = DomainNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for it in range(args.iters):
        strength = args.reverse * it / args.iters
        (xs, ys), (xt, _) = draw(24, centres, 0), draw(24, centres, 1)
        class_logits, source = model(xs, strength)
        _, target = model(xt, strength)
        class_loss = F.cross_entropy(class_logits, ys)
        domain = torch.cat([source, target])
        truth = torch.cat([torch.zeros(24), torch.ones(24)])
        domain_loss = F.binary_cross_entropy_with_logits(domain, truth)
        optimizer.zero_grad()
        (class_loss + domain_loss).backward()
        optimizer.step()
        if it % 6 == 0:
            print(f"{it} class {class_loss.item():.4f} domain {domain_loss.item():.4f}")


if __name__ == "__main__":
    main()
