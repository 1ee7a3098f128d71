"""Non-saturating GAN discriminator update with an R1 penalty on real data."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Discriminator(nn.Module):
    def __init__(self, n_in, hidden):
        super().__init__()
        self.fc1 = nn.Linear(n_in, hidden)
        self.fc2 = nn.Linear(hidden, 1)

    def forward(self, x):
        h = F.softplus(self.fc1(x))
        return self.fc2(h)


def r1_penalty(score, x):
    (grad,) = torch.autograd.grad(score.sum(), x)
    return grad.pow(2).sum(dim=1).mean()


def d_step(disc, gen, real, optimizer, gamma):
    real = real.clone().requires_grad_(True)
    fake = gen(torch.randn(len(real), 4)).detach()
    real_score = disc(real)
    fake_score = disc(fake)
    loss = F.softplus(-real_score).mean() + F.softplus(fake_score).mean()
    loss = loss + 0.5 * gamma * r1_penalty(real_score, real)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def g_step(disc, gen, n, optimizer):
    loss = F.softplus(-disc(gen(torch.randn(n, 4)))).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def main():
    torch.manual_seed(23)
    gen = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 6))
    disc = Discriminator(6, 32)
    g_opt = torch.optim.Adam(gen.parameters(), lr=1e-3, betas=(0.0, 0.99))
    d_opt = torch.optim.Adam(disc.parameters(), lr=1e-3, betas=(0.0, 0.99))
    for it in range(5):
        real = 2 + torch.randn(32, 6)
        d_loss = d_step(disc, gen, real, d_opt, gamma=10.0)
        g_loss = g_step(disc, gen, 32, g_opt)
        print(f"{it} d {d_loss:.3f} g {g_loss:.3f}")


if __name__ == "__main__":
    main()
