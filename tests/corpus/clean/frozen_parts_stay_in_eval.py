"""Frozen parts and their norm layers, in the ways in which train() around them is right."""

import torch
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self, kept=False):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(5, 12), nn.BatchNorm1d(12), nn.ReLU())
        self.head = nn.Sequential(nn.BatchNorm1d(12), nn.Linear(12, 1))
        self.kept = kept

    def train(self, mode=True):
        super().train(mode)
        if self.kept:
            self.encoder.eval()
        return self

    def forward(self, x):
        return self.head(self.encoder(x))


def steps(net, prepare, count=4):
    trained = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=0.01)
    for _ in range(count):
        prepare(net)
        x = torch.randn(16, 5)
        loss = (net(x) - x.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(loss.item())


def then_eval(net):
    net.train()
    net.encoder.eval()


def evaluated_between(net):
    net.encoder.eval()
    with torch.no_grad():
        net.encoder(torch.randn(8, 5)).mean()
    net.train()


# The frozen part is put into eval mode after each train().
net = Net()
net.encoder.eval().requires_grad_(False)
steps(net, then_eval)

# The module sees to it itself.
net = Net(kept=True)
net.encoder.requires_grad_(False)
net.encoder.eval()
steps(net, lambda each: each.train())

# It is frozen, and adapts its statistics on purpose: it was in eval mode to be measured.
net = Net()
net.encoder.requires_grad_(False)
steps(net, evaluated_between)

# It is put back by its own name.
net = Net()
net.encoder.eval().requires_grad_(False)
net.encoder.train()
steps(net, lambda each: each.train())

# The whole model came in eval mode, and is trained.
net = Net()
net.eval()
net.train()
steps(net, lambda each: None)
