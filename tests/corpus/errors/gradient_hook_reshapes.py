"""Gradients of the features are rescaled by a hook."""

import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Linear(6, 8)
        self.head = nn.Linear(8, 2)

    def rescale(self, grad):
        grouped = grad.view(4, 2, 8)
        return (grouped / grouped.norm(dim=1, keepdim=True)).view_as(grad)

    def forward(self, x):
        features = torch.relu(self.features(x))
        features.register_hook(self.rescale)
        return self.head(features)


torch.manual_seed(0)
net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for size in (8, 8, 5):
    x, y = torch.randn(size, 6), torch.randint(2, (size,))
    loss = F.cross_entropy(net(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
