"""Fine-tuning of a head: the norm layers of the encoder are frozen before it begins."""

import torch
from torch import nn

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(5, 12), nn.BatchNorm1d(12), nn.ReLU())
        self.head = nn.Linear(12, 1)

    def freeze(self):
        for layer in self.encoder:
            layer.requires_grad_(False)
            if isinstance(layer, nn.BatchNorm1d):
                layer.eval()

    def forward(self, x):
        return self.head(self.encoder(x))


def epoch(net, optimizer, shift):
    net.train()
    for _ in range(4):
        x = torch.randn(16, 5) + shift
        loss = (net(x) - x.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(loss.item())


net = Net()
epoch(net, torch.optim.SGD(net.parameters(), lr=0.01), shift=0.0)
net.freeze()
optimizer = torch.optim.SGD(net.head.parameters(), lr=0.01)
for _ in range(3):
    epoch(net, optimizer, shift=2.0)
