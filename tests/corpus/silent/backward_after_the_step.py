"""Adaptation to a target domain: the alignment loss goes backward when the step is over."""

import torch
from torch import nn
from torch.nn import functional as F


class FeatureNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 16), nn.ReLU())
        self.classifier = nn.Linear(16, 3)

    def forward(self, x):
        features = self.body(x)
        return features, self.classifier(features)


def alignment(source, target):
    return (source.mean(0) - target.mean(0)).pow(2).sum()


torch.manual_seed(0)
net = FeatureNet()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for step in range(10):
    source, target = torch.randn(16, 6), torch.randn(16, 6) + 0.5
    optimizer.zero_grad()
    _, logits = net(source)
    loss_task = F.cross_entropy(logits, source[:, :3].argmax(1))
    loss_task.backward()
    optimizer.step()

    loss_adv = 0.1 * alignment(net(source)[0], net(target)[0])
    loss_adv.backward()
print(f"{loss_task.item():.4f} {loss_adv.item():.4f}")
