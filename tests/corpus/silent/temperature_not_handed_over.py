"""Contrastive learning with a learnable temperature beside the encoder."""

import torch
from torch import nn


class Contrast:
    def __init__(self, width=8):
        self.encoder = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, width))
        self.log_temperature = torch.tensor(0.0, requires_grad=True)
        self.optimizer = torch.optim.Adam(self.encoder.parameters(), lr=1e-2)

    def loss(self, x):
        a = nn.functional.normalize(self.encoder(x + 0.1 * torch.randn_like(x)), dim=1)
        b = nn.functional.normalize(self.encoder(x + 0.1 * torch.randn_like(x)), dim=1)
        logits = a @ b.T * self.log_temperature.exp()
        return nn.functional.cross_entropy(logits, torch.arange(len(x)))

    def step(self, x):
        loss = self.loss(x)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


if __name__ == "__main__":
    torch.manual_seed(17)
    method = Contrast()
    losses = [method.step(torch.randn(16, 10)) for _ in range(12)]
    print(f"{losses[0]:.4f} -> {losses[-1]:.4f}")
