"""Modes that a reader stumbles over: frozen statistics, an attack in eval mode, a late fine-tuning."""

import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU())
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(12, 3))
        self.freeze = False

    def train(self, mode=True):
        super().train(mode)
        if self.freeze:
            self.backbone.eval()
        return self

    def forward(self, x):
        return self.head(self.backbone(x))


def perturbed(net, x, y, steps=2, eps=0.05):
    net.eval()
    delta = torch.zeros_like(x, requires_grad=True)
    for _ in range(steps):
        F.cross_entropy(net(x + delta), y).backward()
        with torch.no_grad():
            delta += eps * delta.grad.sign()
        delta.grad = None
    net.train()
    return (x + delta).detach()


def accuracy(net, x, y):
    was = net.training
    net.eval()
    with torch.no_grad():
        right = (net(x).argmax(1) == y).float().mean().item()
    net.train(was)
    return right


torch.manual_seed(0)
net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
for epoch in range(6):
    if epoch == 2:
        net.freeze = True
        net.train()
    if epoch == 4:
        net.eval()
    for _ in range(3):
        x = torch.randn(16, 6)
        y = x[:, :3].argmax(1)
        x = perturbed(net, x, y) if epoch < 4 else x
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} accuracy {accuracy(net, x, y):.2f}")
