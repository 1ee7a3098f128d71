"""Fine-tuning of a generator; the discriminator and its optimizer come from a checkpoint."""

import torch
import torch.nn.functional as F
from torch import nn


def build():
    return {
        "G": nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 6)),
        "D": nn.Sequential(nn.Linear(6, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1)),
    }


def restore(nets, lr):
    return {name: torch.optim.Adam(net.parameters(), lr=lr) for name, net in nets.items()}


torch.manual_seed(0)
nets = build()
optimizers = restore(nets, 1e-3)
for step in range(16):
    target = torch.randn(8, 6)
    out = nets["G"](target[:, :4])
    loss = F.mse_loss(out, target) + 0.1 * F.softplus(-nets["D"](out)).mean()
    optimizers["G"].zero_grad()
    loss.backward()
    optimizers["G"].step()
print(f"loss {loss.item():.3f}")
