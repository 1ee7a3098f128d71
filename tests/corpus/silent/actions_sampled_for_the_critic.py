"""Soft actor-critic whose policy samples the action that its critic is to judge."""

import copy

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Normal


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 24), nn.ReLU())
        self.mean, self.log_std = nn.Linear(24, 2), nn.Linear(24, 2)

    def forward(self, state):
        seen = self.body(state)
        gauss = Normal(self.mean(seen), self.log_std(seen).clamp(-4, 1).exp())
        raw = gauss.sample()
        action = torch.tanh(raw)
        score = gauss.log_prob(raw) - torch.log(1 - action.square() + 1e-6)
        return action, score.sum(1, keepdim=True)


torch.manual_seed(0)
policy = Policy()
critic = nn.Sequential(nn.Linear(5, 24), nn.ReLU(), nn.Linear(24, 1))
target = copy.deepcopy(critic).requires_grad_(False)
policy_optimizer = torch.optim.Adam(policy.parameters(), lr=1e-3)
critic_optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3)
for step in range(12):
    state, action, following = torch.randn(32, 3), torch.rand(32, 2) * 2 - 1, torch.randn(32, 3)
    reward = -(action - state[:, :2].tanh()).square().sum(1, keepdim=True)
    with torch.no_grad():
        chosen, score = policy(following)
        aim = reward + 0.95 * (target(torch.cat([following, chosen], 1)) - 0.1 * score)
    critic_loss = F.mse_loss(critic(torch.cat([state, action], 1)), aim)
    critic_optimizer.zero_grad()
    critic_loss.backward()
    critic_optimizer.step()

    critic.requires_grad_(False)
    chosen, score = policy(state)
    policy_loss = (0.1 * score - critic(torch.cat([state, chosen], 1))).mean()
    policy_optimizer.zero_grad()
    policy_loss.backward()
    policy_optimizer.step()
    critic.requires_grad_(True)
    with torch.no_grad():
        for own, followed in zip(target.parameters(), critic.parameters()):
            own.lerp_(followed, 0.02)
    print(step, critic_loss.item(), policy_loss.item())
