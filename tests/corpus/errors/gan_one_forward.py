"""A small GAN that learns points on a circle."""

import argparse
import math

import torch
from torch import nn


class Generator(nn.Module):
    def __init__(self, z_dim, hidden):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(z_dim, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 2),
        )

    def forward(self, z):
        return self.net(z)


class Discriminator(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(2, hidden), nn.LeakyReLU(0.2))
        self.score = nn.Linear(hidden, 1)

    def forward(self, x):
        h = self.features(x)
        return self.score(h)


def sample_circle(n):
    angle = 2 * math.pi * torch.rand(n)
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--z-dim", type=int, default=8)
    args = parser.parse_args()
    torch.manual_seed(0)

    netG = Generator(args.z_dim, 32)
    netD = Discriminator(32)
    optimizerG = torch.optim.Adam(netG.parameters(), lr=2e-4, betas=(0.5, 0.999), foreach=True)
    optimizerD = torch.optim.Adam(netD.parameters(), lr=2e-4, betas=(0.5, 0.999), foreach=True)
    criterion = nn.BCEWithLogitsLoss()
    real_label = torch.ones(args.batch_size, 1)
    fake_label = torch.zeros(args.batch_size, 1)

    for step in range(args.steps):
        real = sample_circle(args.batch_size)
        fake = netG(torch.randn(args.batch_size, args.z_dim))
        output_real = netD(real)
        output_fake = netD(fake)

        optimizerD.zero_grad()
        errD = criterion(output_real, real_label) + criterion(output_fake, fake_label)
        errD.backward(retain_graph=True)
        optimizerD.step()

        optimizerG.zero_grad()
        errG = criterion(output_fake, real_label)
        errG.backward()
        optimizerG.step()
        print(f"{step}: D {errD.item():.3f} G {errG.item():.3f}")


if __name__ == "__main__":
    main()
