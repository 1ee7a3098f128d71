"""Keeps a record of every epoch, of numbers whose graphs are not kept."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)


class Monitor:
    def __init__(self):
        self.records = []

    def add(self, **values):
        self.records.append(values)

    def best(self, key):
        return min(each[key].item() for each in self.records)


@torch.no_grad()
def mean_loss(net, loader):
    total = 0
    for x, y in loader:
        total = total + nn.functional.mse_loss(net(x), y)
    return total / len(loader)


def fit(net, train, val, monitor, epochs):
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for epoch in range(epochs):
        net.train()
        running = 0.0
        for x, y in train:
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(net(x), y)
            loss.backward()
            optimizer.step()
            running += loss.item()
        net.eval()
        monitor.add(epoch=epoch, train=running / len(train), val=mean_loss(net, val))


x = torch.randn(64, 5)
data = TensorDataset(x, x.sum(1, keepdim=True).tanh())
train, val = torch.utils.data.random_split(data, [48, 16])
monitor = Monitor()
net = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 1))
fit(net, DataLoader(train, 16, shuffle=True), DataLoader(val, 8), monitor, epochs=10)
print(f"{monitor.best('val'):.4f}")
