"""A Wasserstein GAN whose critic pays for its slope at real and at generated points."""

import torch
from torch import autograd, nn

torch.manual_seed(0)
generator = nn.Sequential(nn.Linear(4, 16), nn.LeakyReLU(0.2), nn.Linear(16, 2))
critic = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
optimizer_g = torch.optim.Adam(generator.parameters(), lr=1e-3)
optimizer_c = torch.optim.Adam(critic.parameters(), lr=1e-3)


def slope(points, scores):
    ones = torch.ones_like(scores)
    (grad,) = autograd.grad(scores, points, ones, create_graph=True, retain_graph=True)
    return grad.pow(2).sum(1) ** 3


for step in range(12):
    real = (torch.randn(32, 2) + 2.0).requires_grad_()
    z = torch.randn(32, 4)
    optimizer_c.zero_grad()
    fake = generator(z)
    real_score, fake_score = critic(real), critic(fake)
    penalty = (slope(real, real_score) + slope(fake, fake_score)).mean()
    critic_loss = -real_score.mean() + fake_score.mean() + penalty
    critic_loss.backward()
    optimizer_c.step()

    optimizer_g.zero_grad()
    if step % 3 == 0:
        generator_loss = -critic(generator(z)).mean()
        generator_loss.backward()
        optimizer_g.step()
        print(f"{step} {critic_loss.item():.4f} {generator_loss.item():.4f}")
