"""PPO whose advantages keep the column of the value network, beside a row of ratios."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Normal


class Policy(nn.Module):
    def __init__(self, observed, acted):
        super().__init__()
        self.mean = nn.Sequential(nn.Linear(observed, 16), nn.Tanh(), nn.Linear(16, acted))
        self.log_deviation = nn.Parameter(torch.zeros(acted))

    def log_prob(self, states, actions):
        spread = Normal(self.mean(states), self.log_deviation.exp())
        return spread.log_prob(actions).sum(-1)


def surrogate(ratio, advantages, clip=0.2):
    plain = ratio * advantages
    clipped = ratio.clamp(1 - clip, 1 + clip) * advantages
    return -torch.min(plain, clipped).mean()


torch.manual_seed(0)
policy, value = Policy(4, 2), nn.Linear(4, 1)
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-3)
value_optimizer = torch.optim.Adam(value.parameters(), lr=1e-2)
for update in range(4):
    states = torch.randn(32, 4)
    with torch.no_grad():
        actions = policy.mean(states) + torch.randn(32, 2)
        rewards = -(actions - states[:, :2]).square().sum(1, keepdim=True)
        advantages = rewards - value(states)
        before = policy.log_prob(states, actions)
    for epoch in range(3):
        loss = surrogate(torch.exp(policy.log_prob(states, actions) - before), advantages)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        value_loss = F.mse_loss(value(states), rewards)
        value_optimizer.zero_grad()
        value_loss.backward()
        value_optimizer.step()
    print(update, rewards.mean().item())
