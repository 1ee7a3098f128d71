"""An autoencoder with noise in its code, drawn around what the encoder says; plain functions."""

import torch
from torch import nn

torch.manual_seed(1)
encoder, decoder = nn.Linear(16, 6), nn.Linear(3, 16)
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
signals = torch.randn(128, 16)


def reparameterize(mu, logvar):
    return torch.normal(mu, torch.exp(0.5 * logvar))


for step in range(12):
    x = signals[torch.randint(0, 128, (32,))]
    mu, logvar = encoder(x).chunk(2, dim=1)
    x_hat = decoder(reparameterize(mu, logvar))
    mse = (x_hat - x).square().sum(1).mean()
    kld = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum(1).mean()
    loss = mse + 0.5 * kld
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.3f}")
