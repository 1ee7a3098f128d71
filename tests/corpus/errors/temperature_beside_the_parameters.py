"""Scores with a temperature that is learned: the optimizer is given it beside the network's."""

import torch
from torch import nn
from torch.nn import functional as F


def main():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    temperature = torch.ones(1, requires_grad=True)
    optimizer = torch.optim.Adam([net.parameters(), temperature], lr=1e-3)
    for step in range(8):
        x, y = torch.randn(16, 8), torch.randint(0, 4, (16,))
        loss = F.cross_entropy(net(x) / temperature, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"step {step} loss {loss.item():.4f}")


if __name__ == "__main__":
    main()
