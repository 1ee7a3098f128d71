"""Sums per metric in a dict, the loss with its graph."""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Linear(3, 2)
opt = torch.optim.SGD(net.parameters(), lr=0.1)
metrics = {"loss": 0.0, "acc": 0.0}
for _ in range(40):
    x = torch.randn(5, 3)
    y = (x[:, 0] > 0).long()
    out = net(x)
    loss = nn.functional.cross_entropy(out, y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    metrics["loss"] += loss
    metrics["acc"] += (out.argmax(1) == y).float().mean()
print({k: float(v) / 40 for k, v in metrics.items()})
