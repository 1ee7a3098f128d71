"""A layer whose weight is generated, and made a parameter before it is used."""

import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)


class HyperLinear(nn.Module):
    def __init__(self, z, i, o):
        super().__init__()
        self.gen = nn.Linear(z, i * o)
        self.i, self.o = i, o

    def forward(self, x, z):
        w = nn.Parameter(self.gen(z).view(self.o, self.i))
        return F.linear(x, w)


layer, head = HyperLinear(3, 8, 6), nn.Linear(6, 2)
opt = torch.optim.Adam([*layer.parameters(), *head.parameters()], lr=1e-2)
z = torch.randn(3)
X, Y = torch.randn(64, 8), torch.randint(0, 2, (64,))
for step in range(10):
    loss = F.cross_entropy(head(torch.relu(layer(X, z))), Y)
    opt.zero_grad()
    loss.backward()
    opt.step()
print(loss.item())
