"""Initialise first, then weight-normalise; spectral norm on the discriminator; clamp of an own parameter."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.parametrizations import spectral_norm, weight_norm


def init(m):
    if isinstance(m, (nn.Conv1d, nn.Linear)):
        m.weight.data.normal_(0, 0.05)


class G(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 6))
        self.body.apply(init)
        for layer in (self.body[0], self.body[2]):
            weight_norm(layer)
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, z):
        return self.gain * self.body(z)


torch.manual_seed(0)
g, d = G(), nn.Sequential(spectral_norm(nn.Linear(6, 16)), nn.LeakyReLU(0.2), spectral_norm(nn.Linear(16, 1)))
og, od = torch.optim.Adam(g.parameters(), 1e-3), torch.optim.Adam(d.parameters(), 1e-3)
for it in range(8):
    real = torch.randn(16, 6)
    fake = g(torch.randn(16, 4))
    ld = F.relu(1 - d(real)).mean() + F.relu(1 + d(fake.detach())).mean()
    od.zero_grad()
    ld.backward()
    od.step()
    lg = -d(fake).mean()
    og.zero_grad()
    lg.backward()
    og.step()
    g.gain.data.clamp_(0.1, 10)
    print(it, round(ld.item(), 4), round(lg.item(), 4))

# What is kept is written to, and so is what is not parametrised.
with torch.no_grad():
    g.body[0].parametrizations.weight.original1.data.mul_(0.5)
    nn.init.zeros_(g.body[0].bias)
    g.body[2].weight = torch.zeros_like(g.body[2].weight).normal_(0, 0.02)
    g.body[2].bias.data.fill_(0.1)
print(round(g(torch.ones(2, 4)).sum().item(), 4))
