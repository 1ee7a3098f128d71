"""A variational autoencoder for gene counts: a class for the model, the loss in a method of its own."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence

torch.manual_seed(0)
GENES, LATENT = 20, 4


class CountVAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(GENES, 32), nn.ReLU())
        self.mean = nn.Linear(32, LATENT)
        self.log_var = nn.Linear(32, LATENT)
        self.decoder = nn.Sequential(nn.Linear(LATENT, 32), nn.ReLU(), nn.Linear(32, GENES))

    def encode(self, counts):
        hidden = self.body(torch.log1p(counts))
        scale = (0.5 * self.log_var(hidden)).exp()
        return Independent(Normal(self.mean(hidden), scale), 1)

    def forward(self, counts):
        posterior = self.encode(counts)
        latent = posterior.sample()
        return self.decoder(torch.cat([latent], dim=1)), posterior

    def elbo(self, counts):
        log_rate, posterior = self(counts)
        prior = Independent(Normal(torch.zeros(LATENT), torch.ones(LATENT)), 1)
        error = F.poisson_nll_loss(log_rate, counts, reduction="none").sum(1)
        return (error + kl_divergence(posterior, prior)).mean()


model = CountVAE()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
cells = torch.poisson(torch.rand(96, GENES) * 3)
for epoch in range(3):
    for batch in cells.split(32):
        loss = model.elbo(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, f"{loss.item():.3f}")
