"""A hypernetwork whose weights are made parameters of the network that it is to serve."""

import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)


class HyperNet(nn.Module):
    def __init__(self, z_dim=8, d_in=10, d_out=3):
        super().__init__()
        self.z = nn.Parameter(torch.randn(z_dim))
        self.gen_w = nn.Linear(z_dim, d_in * d_out)
        self.gen_b = nn.Linear(z_dim, d_out)
        self.d_in, self.d_out = d_in, d_out

    def forward(self):
        w = self.gen_w(self.z).view(self.d_out, self.d_in)
        b = self.gen_b(self.z)
        return w, b


class Target(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(10, 3)
        self.tail = nn.Linear(3, 3)

    def forward(self, x):
        return self.tail(torch.relu(self.fc(x)))


hyper, target = HyperNet(), Target()
opt = torch.optim.Adam(list(hyper.parameters()) + list(target.tail.parameters()), lr=1e-2)
X, Y = torch.randn(64, 10), torch.randint(0, 3, (64,))
for step in range(10):
    w, b = hyper()
    target.fc.weight = nn.Parameter(w)
    target.fc.bias = nn.Parameter(b)
    loss = F.cross_entropy(target(X), Y)
    opt.zero_grad()
    loss.backward()
    opt.step()
print(f"{loss.item():.4f}")
