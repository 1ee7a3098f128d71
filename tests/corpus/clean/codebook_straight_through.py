"""A quantizer whose losses are taken of the codes, and the straight-through estimator after them."""

import torch
from torch import nn
from torch.nn.functional import mse_loss

torch.manual_seed(0)


class Quantizer(nn.Module):
    def __init__(self, codes, size):
        super().__init__()
        self.codebook = nn.Embedding(codes, size)

    def forward(self, z):
        code = self.codebook(torch.cdist(z, self.codebook.weight).argmin(1))
        extra = mse_loss(code, z.detach()) + 0.25 * mse_loss(z, code.detach())
        return z + (code - z).detach(), extra


encoder, quantizer, decoder = nn.Linear(6, 3), Quantizer(5, 3), nn.Linear(3, 6)
modules = nn.ModuleList([encoder, quantizer, decoder])
optimizer = torch.optim.SGD(modules.parameters(), lr=0.05)
for step in range(10):
    x = torch.randn(32, 6)
    quantized, extra = quantizer(encoder(x))
    loss = mse_loss(decoder(quantized), x) + 0.1 * extra
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(loss.item())
