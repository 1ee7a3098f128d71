"""Several heads whose outputs are scaled in a loop over their list."""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
opt = torch.optim.Adam(net.parameters())
for i in range(6):
    x = torch.randn(5, 4)
    outs = [torch.sigmoid(m(x)) for m in net]
    for o in outs:
        o.mul_(2.0)
    loss = sum(o.pow(2).mean() for o in outs)
    opt.zero_grad()
    loss.backward()
    opt.step()
print(loss.item())
