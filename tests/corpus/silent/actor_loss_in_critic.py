"""Deterministic policy gradient on a target task; the critic never becomes good."""

import torch
import torch.nn.functional as F
from torch import nn


class DDPG:
    def __init__(self, n_state=4, n_action=2):
        self.actor = nn.Sequential(nn.Linear(n_state, 24), nn.Tanh(), nn.Linear(24, n_action))
        self.critic = nn.Sequential(nn.Linear(n_state + n_action, 24), nn.Tanh(), nn.Linear(24, 1))
        self.actor_optimizer = torch.optim.SGD(self.actor.parameters(), lr=1e-2)
        self.critic_optimizer = torch.optim.SGD(self.critic.parameters(), lr=1e-2)

    def update(self, state, action, reward):
        critic_loss = F.mse_loss(self.critic(torch.cat([state, action], 1)), reward)
        critic_loss.backward()
        self.critic_optimizer.step()
        self.critic_optimizer.zero_grad()

        actor_loss = -self.critic(torch.cat([state, self.actor(state)], 1)).mean()
        actor_loss.backward()
        self.actor_optimizer.step()
        self.actor_optimizer.zero_grad()
        return critic_loss.item(), actor_loss.item()


torch.manual_seed(0)
agent = DDPG()
for step in range(24):
    state, action = torch.randn(32, 4), torch.randn(32, 2)
    reward = -(action - state[:, :2]).square().sum(1, keepdim=True)
    losses = agent.update(state, action, reward)
print(f"critic {losses[0]:.3f} actor {losses[1]:.3f}")
