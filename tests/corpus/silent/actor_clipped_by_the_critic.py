"""The actor's step, copied from the critic's: the clipping still names the critic."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
LIMIT = 0.05


class Agent:
    def __init__(self):
        self.actor = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
        self.critic = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
        self.actor_optimizer = torch.optim.SGD(self.actor.parameters(), lr=0.1)
        self.critic_optimizer = torch.optim.SGD(self.critic.parameters(), lr=0.1)

    def update_critic(self, state, action, target):
        critic_loss = F.mse_loss(self.critic(torch.cat([state, action], 1)), target)
        self.critic_optimizer.zero_grad()
        critic_loss.backward()
        nn.utils.clip_grad_norm_(self.critic.parameters(), LIMIT)
        self.critic_optimizer.step()
        return critic_loss.item()

    def update_actor(self, state):
        action = torch.tanh(self.actor(state))
        actor_loss = -self.critic(torch.cat([state, action], 1)).mean()
        self.actor_optimizer.zero_grad()
        actor_loss.backward()
        nn.utils.clip_grad_norm_(self.critic.parameters(), LIMIT)
        self.actor_optimizer.step()
        return actor_loss.item()


agent = Agent()
for step in range(5):
    state, action = torch.randn(32, 4), torch.rand(32, 2) * 2 - 1
    target = -(state[:, :2] - action).pow(2).sum(1, keepdim=True)
    print(step, agent.update_critic(state, action, target), agent.update_actor(state))
