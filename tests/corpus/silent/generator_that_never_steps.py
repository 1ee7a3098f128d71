"""The generator's optimizer clears its gradients each time, and the line with its step is missing."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def discriminator_loss(net, real, fake):
    return F.softplus(-net(real)).mean() + F.softplus(net(fake.detach())).mean()


def train_step(generator, critic, opt_gen, opt_critic, real):
    fake = generator(torch.randn(real.size(0), 4))
    loss_critic = discriminator_loss(critic, real, fake)
    opt_critic.zero_grad()
    loss_critic.backward()
    opt_critic.step()
    loss_gen = F.softplus(-critic(fake)).mean()
    opt_gen.zero_grad()
    loss_gen.backward()
    return loss_critic.item(), loss_gen.item()


generator = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
critic = nn.Sequential(nn.Linear(3, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
opt_gen = torch.optim.Adam(generator.parameters(), lr=1e-3)
opt_critic = torch.optim.Adam(critic.parameters(), lr=1e-3)
for step in range(10):
    losses = train_step(generator, critic, opt_gen, opt_critic, torch.randn(8, 3) + 2)
print(f"{losses[0]:.4f} {losses[1]:.4f}")
