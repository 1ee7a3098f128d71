"""Rows of a batch that are moved where unbind() gave them."""

import torch
from torch import nn

torch.manual_seed(0)
lin = nn.Linear(6, 6)
opt = torch.optim.SGD(lin.parameters(), lr=0.1)
for i in range(6):
    x = torch.randn(8, 6)
    h = lin(x)
    rows = h.unbind(0)
    for row in rows:
        row += 0.1
    loss = torch.stack(rows).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
print(loss.item())
