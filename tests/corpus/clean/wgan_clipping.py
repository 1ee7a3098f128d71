"""Wasserstein GAN on a ring: five critic steps to a generator step, weights clipped."""

import argparse
import math

import torch
from torch import nn
from torch.optim import RMSprop

parser = argparse.ArgumentParser()
parser.add_argument("--n_steps", type=int, default=30)
parser.add_argument("--n_critic", type=int, default=5)
parser.add_argument("--clip_value", type=float, default=0.05)
parser.add_argument("--latent_dim", type=int, default=4)
parser.add_argument("--lr", type=float, default=5e-4)
opt = parser.parse_args()

torch.manual_seed(0)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(
            nn.Linear(opt.latent_dim, 32), nn.LeakyReLU(0.2, inplace=True), nn.Linear(32, 2)
        )

    def forward(self, z):
        return self.model(z)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(
            nn.Linear(2, 32), nn.LeakyReLU(0.2, inplace=True), nn.Linear(32, 1)
        )

    def forward(self, points):
        return self.model(points)


def ring(n):
    angle = 2 * math.pi * torch.rand(n)
    return torch.stack([angle.cos(), angle.sin()], dim=1) + 0.05 * torch.randn(n, 2)


generator, discriminator = Generator(), Discriminator()
optimizer_G = RMSprop(generator.parameters(), lr=opt.lr)
optimizer_D = RMSprop(discriminator.parameters(), lr=opt.lr)

for i in range(opt.n_steps):
    real = ring(32)
    optimizer_D.zero_grad()
    z = torch.randn(32, opt.latent_dim)
    fake = generator(z).detach()
    loss_D = -torch.mean(discriminator(real)) + torch.mean(discriminator(fake))
    loss_D.backward()
    optimizer_D.step()
    for p in discriminator.parameters():
        p.data.clamp_(-opt.clip_value, opt.clip_value)

    if i % opt.n_critic == 0:
        optimizer_G.zero_grad()
        loss_G = -torch.mean(discriminator(generator(z)))
        loss_G.backward()
        optimizer_G.step()
        print(f"[{i}/{opt.n_steps}] D {loss_D.item():.4f} G {loss_G.item():.4f}")
