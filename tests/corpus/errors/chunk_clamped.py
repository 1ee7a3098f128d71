"""VAE encoder output split with chunk, one part clamped in place."""

import torch
from torch import nn
from torch.distributions import Normal, kl_divergence


class Encoder(nn.Module):
    def __init__(self, d=10, z=2):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(d, 16), nn.ELU(), nn.Linear(16, 2 * z))

    def forward(self, x):
        mu, logvar = self.net(x).chunk(2, dim=-1)
        logvar.clamp_(-8.0, 4.0)
        return Normal(mu, (0.5 * logvar).exp())


torch.manual_seed(0)
encoder, decoder = Encoder(), nn.Linear(2, 10)
prior = Normal(torch.zeros(2), torch.ones(2))
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
for _ in range(2):
    x = torch.randn(8, 10)
    q = encoder(x)
    loss = (decoder(q.rsample()) - x).pow(2).sum(1).mean() + kl_divergence(q, prior).sum(1).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
