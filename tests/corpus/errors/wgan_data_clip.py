"""Wasserstein GAN with weight clipping."""

import argparse

import torch
from torch import nn


class Generator(nn.Module):
    def __init__(self, z_dim, n_out):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(z_dim, 32), nn.ReLU(), nn.Linear(32, n_out))

    def forward(self, z):
        return self.net(z)


class Critic(nn.Module):
    def __init__(self, n_in):
        super().__init__()
        self.fc1 = nn.Linear(n_in, 32)
        self.fc2 = nn.Linear(32, 1)

    def forward(self, x):
        h = torch.relu(self.fc1(x))
        return self.fc2(h)


def clip_weights(critic, c):
    for p in critic.parameters():
        p.data.clamp_(-c, c)


def critic_step(critic, gen, real, z, optimizer):
    fake = gen(z).detach()
    loss = critic(fake).mean() - critic(real).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--iters", type=int, default=4)
    parser.add_argument("--n-critic", type=int, default=2)
    parser.add_argument("--clip", type=float, default=0.01)
    args = parser.parse_args()
    torch.manual_seed(121)
    gen, critic = Generator(4, 6), Critic(6)
    opt_g = torch.optim.RMSprop(gen.parameters(), lr=5e-3)
    opt_c = torch.optim.RMSprop(critic.parameters(), lr=5e-3)
    for it in range(args.iters):
        for _ in range(args.n_critic):
            real = 1 + 0.5 * torch.randn(32, 6)
            loss_c = critic_step(critic, gen, real, torch.randn(32, 4), opt_c)
        loss_g = -critic(gen(torch.randn(32, 4))).mean()
        clip_weights(critic, args.clip)
        opt_g.zero_grad()
        loss_g.backward()
        opt_g.step()
        print(f"{it} critic {loss_c:.4f} gen {loss_g.item():.4f}")


if __name__ == "__main__":
    main()
