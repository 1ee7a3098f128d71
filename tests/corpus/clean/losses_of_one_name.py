"""A Wasserstein GAN with a gradient penalty, in two methods that both call their loss `loss`."""

import torch
from torch import nn

torch.manual_seed(7)


class Players:
    def __init__(self):
        self.generator = nn.Sequential(nn.Linear(3, 10), nn.ReLU(), nn.Linear(10, 5))
        self.critic = nn.Sequential(nn.Linear(5, 10), nn.LeakyReLU(0.2), nn.Linear(10, 1))
        self.of_generator = torch.optim.Adam(self.generator.parameters(), lr=1e-3)
        self.of_critic = torch.optim.Adam(self.critic.parameters(), lr=1e-3)

    def penalty(self, real, fake):
        share = torch.rand(len(real), 1)
        between = (share * real + (1 - share) * fake).requires_grad_()
        (slope,) = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)
        return (slope.norm(dim=1) - 1).square().mean()

    def train_critic(self, real):
        fake = self.generator(torch.randn(len(real), 3)).detach()
        self.of_critic.zero_grad()
        loss = self.critic(fake).mean() - self.critic(real).mean()
        loss = loss + 10.0 * self.penalty(real, fake)
        loss.backward()
        self.of_critic.step()
        return loss.item()

    def train_generator(self, count):
        self.of_generator.zero_grad()
        loss = -self.critic(self.generator(torch.randn(count, 3))).mean()
        loss.backward()
        self.of_generator.step()
        return loss.item()


players = Players()
for turn in range(6):
    for _ in range(2):
        distance = players.train_critic(torch.randn(12, 5) + 2)
    print(f"{turn} {distance:.4f} {players.train_generator(12):.4f}")
