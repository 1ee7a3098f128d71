"""Tiny diffusion model on 2-d points, logging the loss over timesteps."""

import argparse

import torch
from torch import nn


class NoisePredictor(nn.Module):
    def __init__(self, hidden=64, n_steps=20):
        super().__init__()
        self.time = nn.Embedding(n_steps, hidden)
        self.inp = nn.Linear(2, hidden)
        self.out = nn.Sequential(nn.SiLU(), nn.Linear(hidden, 2))

    def forward(self, x, t):
        return self.out(self.inp(x) + self.time(t))


class Diffusion:
    def __init__(self, n_steps):
        betas = torch.linspace(1e-4, 0.1, n_steps)
        self.n_steps = n_steps
        self.alpha_bar = torch.cumprod(1 - betas, dim=0)

    def add_noise(self, x0, t):
        noise = torch.randn_like(x0)
        a = self.alpha_bar[t].unsqueeze(1)
        return a.sqrt() * x0 + (1 - a).sqrt() * noise, noise


def train_epoch(model, diffusion, data, optimizer, criterion):
    total_loss = 0
    for x0 in data.split(32):
        t = torch.randint(0, diffusion.n_steps, (len(x0),))
        xt, noise = diffusion.add_noise(x0, t)
        pred = model(xt, t)
        total_loss += criterion(pred, noise)
        optimizer.zero_grad()
        total_loss.backward()
        optimizer.step()
    return total_loss / len(data)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--timesteps", type=int, default=20)
    args = parser.parse_args()
    torch.manual_seed(14)
    angles = 6.28 * torch.rand(128)
    data = torch.stack([angles.cos(), angles.sin()], dim=1)
    model = NoisePredictor(n_steps=args.timesteps)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for epoch in range(args.epochs):
        loss = train_epoch(model, Diffusion(args.timesteps), data, optimizer, nn.MSELoss())
        print(f"epoch {epoch} {loss:.4f}")


if __name__ == "__main__":
    main()
