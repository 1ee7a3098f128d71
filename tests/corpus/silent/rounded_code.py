"""Compression of small patches: an encoder, a quantiser, a decoder."""

import torch
import torch.nn.functional as F
from torch import nn


class Quantise(nn.Module):
    def __init__(self, levels=8):
        super().__init__()
        self.levels = levels

    def forward(self, x):
        x = torch.sigmoid(x) * (self.levels - 1)
        return torch.round(x) / (self.levels - 1)


class Codec(nn.Module):
    def __init__(self, n=16, width=32, code=4):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(n, width), nn.ReLU(), nn.Linear(width, code))
        self.quantise = Quantise()
        self.decode = nn.Sequential(nn.Linear(code, width), nn.ReLU(), nn.Linear(width, n))

    def forward(self, x):
        return self.decode(self.quantise(self.encode(x)))


torch.manual_seed(0)
codec = Codec()
optimizer = torch.optim.Adam(codec.parameters(), lr=2e-3)
basis = torch.randn(3, 16)
for step in range(20):
    patches = torch.randn(32, 3) @ basis
    loss = F.mse_loss(codec(patches), patches)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 5 == 4:
        print(f"step {step} loss {loss.item():.3f}")
