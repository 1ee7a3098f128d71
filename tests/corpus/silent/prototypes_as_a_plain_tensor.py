"""Prototypes of classes that an optimizer is given, and that are no parameter."""

import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)


class ProtoNet(nn.Module):
    def __init__(self, k=5, d=16):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, d))
        # learnable class prototypes
        self.prototypes = torch.randn(k, d)

    def forward(self, x):
        z = self.encoder(x)
        return -torch.cdist(z, self.prototypes)


net = ProtoNet()
opt = torch.optim.Adam([{"params": net.encoder.parameters()}, {"params": [net.prototypes], "lr": 1e-2}], lr=1e-3)
X, y = torch.randn(100, 10), torch.randint(0, 5, (100,))
for epoch in range(10):
    loss = F.cross_entropy(net(X), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
print(loss.item())
