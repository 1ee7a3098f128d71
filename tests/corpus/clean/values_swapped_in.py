"""A codebook with straight-through values; a metric is shown, its surrogate gives the gradient."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
encoder, decoder, head = nn.Linear(8, 4), nn.Linear(4, 8), nn.Linear(4, 2)
codes = nn.Parameter(torch.randn(6, 4))
modules = nn.ModuleList([encoder, decoder, head])
optimizer = torch.optim.Adam([*modules.parameters(), codes], lr=1e-2)
for step in range(16):
    x = torch.randn(16, 8)
    z = encoder(x)
    nearest = codes[torch.cdist(z, codes).argmin(1)]
    quantised = z + (nearest - z).detach()
    rec = F.mse_loss(decoder(quantised), x)
    commit = F.mse_loss(z, nearest.detach()) + F.mse_loss(nearest, z.detach())
    logits, label = head(quantised), (x[:, 0] > 0).long()
    surrogate = F.cross_entropy(logits, label)
    wrong = (logits.argmax(1) != label).float().mean()
    shown = surrogate + (wrong - surrogate).detach()
    loss = rec + 0.25 * commit + shown
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"loss {loss.item():.3f}")
