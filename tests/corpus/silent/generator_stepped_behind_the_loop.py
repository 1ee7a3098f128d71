"""The generator of a WGAN-GP steps once, behind the loop, as its step has lost an indentation."""

import torch
from torch import nn

torch.manual_seed(0)
generator = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
critic = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
opt_critic = torch.optim.Adam(critic.parameters(), lr=1e-3)
opt_generator = torch.optim.Adam(generator.parameters(), lr=1e-3)


def penalty(real, fake):
    share = torch.rand(real.size(0), 1)
    mixed = (share * real + (1 - share) * fake).requires_grad_(True)
    score = critic(mixed).sum()
    (grad,) = torch.autograd.grad(score, mixed, create_graph=True)
    return ((grad.norm(2, dim=1) - 1) ** 2).mean()


for step in range(10):
    real = torch.randn(16, 2) + 1
    fake = generator(torch.randn(16, 4)).detach()
    critic_loss = critic(fake).mean() - critic(real).mean() + 10 * penalty(real, fake)
    opt_critic.zero_grad()
    critic_loss.backward()
    opt_critic.step()
    generator_loss = -critic(generator(torch.randn(16, 4))).mean()
    opt_generator.zero_grad()
    generator_loss.backward()
opt_generator.step()
print(f"{critic_loss.item():.4f} {generator_loss.item():.4f}")
