"""Only the head is to be trained, found by the prefix of its name."""

import torch
from torch import nn
from torch.nn import functional as F


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(6, 8)
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        return self.fc(torch.relu(self.body(x)))


class Lit(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x)


def train_only(net, prefix):
    for name, parameter in net.named_parameters():
        parameter.requires_grad = name.startswith(prefix)


def fit(net, steps=3):
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for step in range(steps):
        loss = F.cross_entropy(net(torch.randn(6, 6)), torch.randint(3, (6,)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


torch.manual_seed(0)
net = Lit(Backbone())
train_only(net, "fc")
fit(net)
