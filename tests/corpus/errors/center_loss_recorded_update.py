"""Center loss whose centres follow the features."""

import torch
from torch import nn
from torch.nn import functional as F


class CenterLoss(nn.Module):
    def __init__(self, classes, width, momentum=0.9):
        super().__init__()
        self.register_buffer("centers", torch.zeros(classes, width))
        self.momentum = momentum

    def forward(self, features, labels):
        logits = features @ self.centers.t()
        for label in labels.unique():
            mean = features[labels == label].mean(0)
            self.centers[label].mul_(self.momentum).add_((1 - self.momentum) * mean)
        return F.cross_entropy(logits, labels)


torch.manual_seed(0)
net, center = nn.Linear(5, 4), CenterLoss(3, 4)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for step in range(3):
    loss = center(net(torch.randn(9, 5)), torch.arange(9) % 3)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
