"""A quantizer whose codebook loss is taken of what the straight-through estimator gives."""

import torch
from torch import nn
from torch.nn.functional import mse_loss

torch.manual_seed(0)


class Quantizer(nn.Module):
    def __init__(self, codes, size):
        super().__init__()
        self.codebook = nn.Embedding(codes, size)

    def forward(self, z):
        nearest = torch.cdist(z, self.codebook.weight).argmin(1)
        code = self.codebook(nearest)
        return z + (code - z).detach()


encoder, quantizer, decoder = nn.Linear(6, 3), Quantizer(5, 3), nn.Linear(3, 6)
modules = nn.ModuleList([encoder, quantizer, decoder])
optimizer = torch.optim.SGD(modules.parameters(), lr=0.05)
for step in range(10):
    x = torch.randn(32, 6)
    z = encoder(x)
    quantized = quantizer(z)
    loss = mse_loss(decoder(quantized), x)
    loss = loss + 0.1 * mse_loss(quantized, z.detach()) + 0.1 * mse_loss(z, quantized.detach())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(loss.item())
