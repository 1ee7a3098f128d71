"""Soft actor-critic on a one-dimensional target task, with a learned temperature."""

import torch
import torch.nn.functional as F
from torch import nn


class Actor(nn.Module):
    def __init__(self, n_in=3, width=32):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n_in, width), nn.ReLU())
        self.mean, self.log_std = nn.Linear(width, 1), nn.Linear(width, 1)

    def forward(self, state):
        h = self.body(state)
        dist = torch.distributions.Normal(self.mean(h), self.log_std(h).clamp(-5, 2).exp())
        raw = dist.rsample()
        action = torch.tanh(raw)
        log_prob = dist.log_prob(raw) - torch.log(1 - action**2 + 1e-6)
        return action, log_prob


class Agent:
    def __init__(self):
        self.actor = Actor()
        self.critic = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1))
        self.log_alpha = torch.zeros(1, requires_grad=True)
        self.actor_optim = torch.optim.Adam(self.actor.parameters(), lr=3e-3)
        self.critic_optim = torch.optim.Adam(self.critic.parameters(), lr=3e-3)
        self.alpha_optim = torch.optim.Adam([self.log_alpha], lr=3e-3)
        self.target_entropy = -1.0

    def update(self, state):
        with torch.no_grad():
            action, log_prob = self.actor(state)
            reward = -(action - state[:, :1]) ** 2
            target = reward - self.log_alpha.exp() * log_prob
        critic_loss = F.mse_loss(self.critic(torch.cat([state, action], 1)), target)
        self.critic_optim.zero_grad()
        critic_loss.backward()
        self.critic_optim.step()

        action, log_prob = self.actor(state)
        q = self.critic(torch.cat([state, action], 1))
        actor_loss = (self.log_alpha.exp().detach() * log_prob - q).mean()
        self.actor_optim.zero_grad()
        actor_loss.backward()
        self.actor_optim.step()

        alpha_loss = -(self.log_alpha * (log_prob + self.target_entropy).detach()).mean()
        self.alpha_optim.zero_grad()
        alpha_loss.backward()
        return critic_loss.item(), self.log_alpha.exp().item()


torch.manual_seed(1)
agent = Agent()
for step in range(24):
    loss, alpha = agent.update(torch.randn(32, 3))
    if step % 8 == 7:
        print(f"step {step} critic {loss:.3f} alpha {alpha:.3f}")
