"""Critic with a gradient penalty; the penalty is printed and never falls."""

import torch
from torch import nn


def gradient_penalty(critic, real, fake):
    mix = torch.rand(len(real), 1)
    x = (mix * real + (1 - mix) * fake).requires_grad_(True)
    score = critic(x)
    (grad,) = torch.autograd.grad(score, x, grad_outputs=torch.ones_like(score))
    return (grad.norm(dim=1) - 1).square().mean()


torch.manual_seed(0)
critic = nn.Sequential(nn.Linear(5, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
generator = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 5))
opt_c = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.0, 0.9))
opt_g = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.0, 0.9))

for i in range(20):
    real = torch.randn(16, 5) + 2
    with torch.no_grad():
        fake = generator(torch.randn(16, 3))
    gp = gradient_penalty(critic, real, fake)
    c_loss = critic(fake).mean() - critic(real).mean() + 10 * gp
    opt_c.zero_grad()
    c_loss.backward()
    opt_c.step()
    if i % 2 == 1:
        g_loss = -critic(generator(torch.randn(16, 3))).mean()
        opt_g.zero_grad()
        g_loss.backward()
        opt_g.step()
print(f"critic {c_loss.item():.3f} penalty {gp.item():.3f}")
