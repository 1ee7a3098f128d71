"""A penalty on fixed points that require grad: they are data, read by their coordinates."""

import torch
from torch import nn


class Field(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.points = torch.rand(24, 2).requires_grad_()
        self.bounds = torch.tensor([0.0, 1.0], requires_grad=False)
        self.net = nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, 1))

    def forward(self, points):
        return self.net(points).squeeze(1)

    def residual(self):
        x, y = self.points[:, 0], self.points[:, 1]
        u = self(torch.stack([x, y], 1))
        (slope,) = torch.autograd.grad(u.sum(), self.points, create_graph=True)
        return slope[:, 0] - torch.exp(-x) * torch.sin(y) + 0.1 * u

    def edge(self):
        left, right = self.bounds[0], self.bounds[1]
        y = torch.linspace(0, 1, 8)
        a = self(torch.stack([left.expand(8), y], 1))
        b = self(torch.stack([right.expand(8), y], 1))
        return (a - b).square().mean()


def main():
    torch.manual_seed(0)
    field = Field()
    optimizer = torch.optim.Adam(field.parameters(), lr=1e-2)
    for step in range(6):
        loss = field.residual().square().mean() + field.edge()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(step, f"{loss.item():.4f}")


main()
