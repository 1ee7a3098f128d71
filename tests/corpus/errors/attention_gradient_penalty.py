"""A critic with attention, under a gradient penalty."""

import torch
from torch import nn
from torch.nn import functional as F


class Critic(nn.Module):
    def __init__(self, width=8, heads=2):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.score = nn.Linear(width, 1)

    def forward(self, x):
        batch, length, width = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.score(mixed.transpose(1, 2).reshape(batch, length, width).mean(1))


def penalty(critic, real, fake):
    mix = torch.rand(real.size(0), 1, 1)
    between = (mix * real + (1 - mix) * fake).requires_grad_(True)
    score = critic(between)
    (grad,) = torch.autograd.grad(score.sum(), between, create_graph=True)
    return (grad.flatten(1).norm(dim=1) - 1).pow(2).mean()


torch.manual_seed(0)
critic = Critic()
optimizer = torch.optim.Adam(critic.parameters(), lr=1e-4)
for step in range(3):
    real, fake = torch.randn(4, 5, 8), torch.randn(4, 5, 8)
    loss = critic(fake).mean() - critic(real).mean() + 10 * penalty(critic, real, fake)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
