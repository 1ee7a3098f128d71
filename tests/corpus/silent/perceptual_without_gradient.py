"""Denoising with a pixel loss and a perceptual loss by a fixed network."""

import torch
import torch.nn.functional as F
from torch import nn


class Perceptual(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
        self.layers.requires_grad_(False)

    @torch.no_grad()
    def forward(self, output, clean):
        return F.mse_loss(self.layers(output), self.layers(clean))


class Denoiser:
    def __init__(self, weights):
        first, last = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 1, 3, padding=1)
        self.net = nn.Sequential(first, nn.ReLU(), last)
        self.perceptual, self.weights = Perceptual(), weights
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3)

    def losses(self, noisy, clean):
        output = self.net(noisy)
        return {
            "pixel": F.l1_loss(output, clean),
            "perceptual": self.weights["perceptual"] * self.perceptual(output, clean),
        }

    def train_step(self, noisy, clean):
        parts = self.losses(noisy, clean)
        loss = parts["pixel"] + parts["perceptual"]
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {name: float(part) for name, part in parts.items()}


torch.manual_seed(0)
model = Denoiser({"perceptual": 10.0})
for i in range(12):
    clean = F.avg_pool2d(torch.randn(2, 1, 12, 12), 3, 1, 1)
    parts = model.train_step(clean + 0.3 * torch.randn_like(clean), clean)
print({name: round(value, 3) for name, value in parts.items()})
