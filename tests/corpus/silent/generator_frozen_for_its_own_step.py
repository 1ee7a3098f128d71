"""A GAN that freezes, while the generator's loss is computed, the generator in place of the critic."""

import torch
from torch import nn
from torch.nn import functional as F


def set_requires_grad(net, requires_grad):
    for param in net.parameters():
        param.requires_grad = requires_grad


def main():
    torch.manual_seed(0)
    net_g = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 8))
    net_d = nn.Sequential(nn.Linear(8, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
    opt_g = torch.optim.Adam(net_g.parameters(), lr=2e-4)
    opt_d = torch.optim.Adam(net_d.parameters(), lr=2e-4)
    for epoch in range(8):
        real, noise = torch.randn(16, 8) + 2, torch.randn(16, 4)
        opt_d.zero_grad()
        fake = net_g(noise).detach()
        loss_d = F.softplus(-net_d(real)).mean() + F.softplus(net_d(fake)).mean()
        loss_d.backward()
        opt_d.step()

        set_requires_grad(net_g, False)
        opt_g.zero_grad()
        loss_g = F.softplus(-net_d(net_g(noise))).mean()
        loss_g.backward()
        opt_g.step()
        set_requires_grad(net_g, True)
        print(epoch, round(loss_d.item(), 3), round(loss_g.item(), 3))


if __name__ == "__main__":
    main()
