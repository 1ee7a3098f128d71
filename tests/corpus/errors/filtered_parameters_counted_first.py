"""A filter of the parameters is counted, and then given to the optimizer."""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Sequential(nn.Linear(8, 16), nn.ReLU()), nn.Linear(16, 3))
for p in net[0].parameters():
    p.requires_grad = False
params = filter(lambda p: p.requires_grad, net.parameters())
print("trainable", sum(p.numel() for p in params))
optimizer = torch.optim.Adam(params, lr=1e-3)
for step in range(3):
    x, y = torch.randn(8, 8), torch.randint(0, 3, (8,))
    loss = nn.functional.cross_entropy(net(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
