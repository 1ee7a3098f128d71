"""A network with a learnable gain for each input, kept in double precision like the data."""

import torch
from torch import nn


class Gain(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.log_gain = nn.Parameter(torch.zeros(width)).to(torch.float64)

    def forward(self, x):
        return x * self.log_gain.exp()


class Net(nn.Module):
    def __init__(self, width=6):
        super().__init__()
        self.gain = Gain(width)
        self.body = nn.Sequential(nn.Linear(width, 16), nn.Tanh(), nn.Linear(16, 1))

    def forward(self, x):
        return self.body(self.gain(x))


def main():
    torch.manual_seed(16)
    model = Net().double()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(12):
        x = torch.randn(32, 6, dtype=torch.float64)
        y = x @ torch.tensor([[3.0], [0.0], [1.0], [0.0], [0.0], [0.0]], dtype=torch.float64)
        loss = (model(x) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{loss.item():.4f}")


if __name__ == "__main__":
    main()
