"""Online regression with a layer of leaky integrators."""

import math

import torch
from torch import nn


class LeakyLayer(nn.Module):
    def __init__(self, n_in, n_out, beta=0.85):
        super().__init__()
        self.fc = nn.Linear(n_in, n_out)
        self.beta = beta
        self.mem = torch.zeros(1, n_out)

    def forward(self, x):
        current = torch.tanh(self.fc(x))
        self.mem = self.beta * self.mem + current
        return self.mem


class IntegratorNet(nn.Module):
    def __init__(self, n_in=3, n_hidden=16):
        super().__init__()
        self.leaky = LeakyLayer(n_in, n_hidden)
        self.readout = nn.Linear(n_hidden, 1)

    def forward(self, x):
        return self.readout(self.leaky(x))


def signal(t):
    x = torch.tensor([[math.sin(0.3 * t), math.cos(0.3 * t), math.sin(0.05 * t)]])
    y = torch.tensor([[math.sin(0.3 * (t + 4))]])
    return x, y


def train(net, steps, lr):
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    criterion = nn.MSELoss()
    recent = []
    for t in range(steps):
        x, y = signal(t)
        loss = criterion(net(x), y)
        optimizer.zero_grad()
        # without retain_graph: "Trying to backward through the graph a second time"
        loss.backward(retain_graph=True)
        optimizer.step()
        recent.append(loss.item())
        if (t + 1) % 20 == 0:
            print(f"t={t + 1} mse {sum(recent[-20:]) / 20:.4f}")
    return recent


if __name__ == "__main__":
    torch.manual_seed(21)
    net = IntegratorNet()
    train(net, steps=60, lr=5e-3)
