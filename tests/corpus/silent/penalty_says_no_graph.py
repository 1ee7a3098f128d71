"""A critic's gradient penalty whose grad() is told create_graph=False: it holds nothing back."""

import torch
from torch import nn

torch.manual_seed(0)
critic = nn.Sequential(nn.Linear(3, 16), nn.Softplus(), nn.Linear(16, 1))
optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3)


def penalty(real, fake):
    between = torch.lerp(fake, real, torch.rand(len(real), 1)).requires_grad_()
    scores = critic(between)
    (slope,) = torch.autograd.grad(
        scores.sum(), between, create_graph=False, retain_graph=True
    )
    return (slope.norm(dim=1) - 1).square().mean()


for step in range(10):
    real, fake = torch.randn(12, 3) + 1, torch.randn(12, 3)
    distance = critic(fake).mean() - critic(real).mean()
    critic_loss = distance + 10 * penalty(real, fake)
    optimizer.zero_grad()
    critic_loss.backward()
    optimizer.step()
print(f"{critic_loss.item():.4f}")
