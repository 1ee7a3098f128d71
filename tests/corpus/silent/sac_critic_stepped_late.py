"""The critic of a SAC steps only after the actor's backward, whose gradients it applies as well."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class Agent:
    def __init__(self):
        self.policy = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 2))
        self.value = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
        self.policy_opt = torch.optim.Adam(self.policy.parameters(), lr=1e-3)
        self.value_opt = torch.optim.Adam(self.value.parameters(), lr=1e-3)

    def act(self, s):
        mu, log_std = self.policy(s).chunk(2, 1)
        dist = torch.distributions.Normal(mu, log_std.clamp(-5, 2).exp())
        u = dist.rsample()
        return torch.tanh(u), dist.log_prob(u) - torch.log(1 - torch.tanh(u).pow(2) + 1e-6)

    def update(self, s, a, target):
        q_loss = F.mse_loss(self.value(torch.cat([s, a], 1)), target)
        self.value_opt.zero_grad()
        q_loss.backward()
        action, log_prob = self.act(s)
        pi_loss = (0.1 * log_prob - self.value(torch.cat([s, action], 1))).mean()
        self.policy_opt.zero_grad()
        pi_loss.backward()
        self.value_opt.step()
        self.policy_opt.step()
        return q_loss.item()


agent = Agent()
for step in range(10):
    s, a, target = torch.randn(16, 3), torch.rand(16, 1) * 2 - 1, torch.randn(16, 1)
    value = agent.update(s, a, target)
print(f"{value:.4f}")
