"""Physics-informed network for the heat equation u_t = k u_xx."""

import argparse
import math

import torch
from torch import nn


class HeatNet(nn.Module):
    def __init__(self, width, depth):
        super().__init__()
        layers = [nn.Linear(2, width), nn.Tanh()]
        for _ in range(depth - 1):
            layers += [nn.Linear(width, width), nn.Tanh()]
        self.net = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, coords):
        return self.net(coords)


def derivative(u, wrt):
    (du,) = torch.autograd.grad(u, wrt, torch.ones_like(u), create_graph=True)
    return du


def residual(net, coords, k):
    coords.requires_grad_(True)
    u = net(coords)
    x = coords[:, 0:1]
    t = coords[:, 1:2]
    u_t = derivative(u, t)
    u_xx = derivative(derivative(u, x), x)
    return u_t - k * u_xx


def initial_condition(net, n):
    x = torch.rand(n, 1)
    start = torch.cat([x, torch.zeros_like(x)], dim=1)
    return (net(start) - torch.sin(math.pi * x)).pow(2).mean()


def boundary_condition(net, n):
    t = torch.rand(n, 1)
    left = torch.cat([torch.zeros_like(t), t], dim=1)
    right = torch.cat([torch.ones_like(t), t], dim=1)
    return net(left).pow(2).mean() + net(right).pow(2).mean()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--conductivity", type=float, default=0.1)
    args = parser.parse_args()
    torch.manual_seed(101)
    net = HeatNet(width=24, depth=2)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for step in range(args.steps):
        pde = residual(net, torch.rand(64, 2), args.conductivity).pow(2).mean()
        loss = pde + initial_condition(net, 32) + boundary_condition(net, 32)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"final loss {loss.item():.5f}")


if __name__ == "__main__":
    main()
