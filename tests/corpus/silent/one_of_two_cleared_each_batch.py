"""Distils through a bottleneck, with gradients added up over three batches."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(5)
bottleneck, decoder = nn.Linear(10, 6), nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 10))
opt_bottleneck = torch.optim.Adam(bottleneck.parameters(), lr=1e-3)
opt_decoder = torch.optim.Adam(decoder.parameters(), lr=5e-3)
features = torch.randn(30, 12, 10)
window = 3
opt_bottleneck.zero_grad()
for number, batch in enumerate(features, start=1):
    opt_decoder.zero_grad()
    restored = decoder(bottleneck(batch))
    distance = (1 - F.cosine_similarity(restored, batch)).mean() / window
    distance.backward()
    if number % window == 0:
        opt_bottleneck.step()
        opt_decoder.step()
        opt_bottleneck.zero_grad()
