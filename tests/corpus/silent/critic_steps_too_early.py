"""A critic with a slowly following target: its step comes before its backward, so it never moves."""

import copy

import torch
from torch import nn

torch.manual_seed(0)
critic = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
target = copy.deepcopy(critic)
optimizer = torch.optim.Adam(critic.parameters(), lr=3e-3)


def follow(rate=0.05):
    with torch.no_grad():
        for slow, fast in zip(target.parameters(), critic.parameters()):
            slow.mul_(1 - rate).add_(fast, alpha=rate)


for step in range(16):
    state, after = torch.randn(12, 4), torch.randn(12, 4)
    with torch.no_grad():
        wanted = state[:, :1] + 0.9 * target(after)
    error = nn.functional.smooth_l1_loss(critic(state), wanted)
    optimizer.zero_grad()
    optimizer.step()
    error.backward()
    follow()
print(f"{error.item():.4f}")
