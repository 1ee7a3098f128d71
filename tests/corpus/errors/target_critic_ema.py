"""Deterministic policy gradient with slowly moving copies of both networks."""

import copy

import torch
import torch.nn.functional as F
from torch import nn


class Actor(nn.Module):
    def __init__(self, n_obs, n_act):
        super().__init__()
        self.fc1 = nn.Linear(n_obs, 32)
        self.fc2 = nn.Linear(32, n_act)

    def forward(self, obs):
        return torch.tanh(self.fc2(F.relu(self.fc1(obs))))


class Critic(nn.Module):
    def __init__(self, n_obs, n_act):
        super().__init__()
        self.fc1 = nn.Linear(n_obs + n_act, 32)
        self.fc2 = nn.Linear(32, 1)

    def forward(self, obs, act):
        h = F.relu(self.fc1(torch.cat([obs, act], dim=1)))
        return self.fc2(h)


class Agent:
    def __init__(self, n_obs=6, n_act=2, tau=0.01, gamma=0.98):
        self.actor, self.critic = Actor(n_obs, n_act), Critic(n_obs, n_act)
        self.critic_target = copy.deepcopy(self.critic).requires_grad_(False)
        self.optimizers = [
            torch.optim.Adam(self.actor.parameters(), lr=1e-3),
            torch.optim.Adam(self.critic.parameters(), lr=1e-3),
        ]
        self.tau, self.gamma = tau, gamma

    @torch.no_grad()
    def sync_target(self):
        slow = list(self.critic_target.parameters())
        fast = list(self.critic.parameters())
        torch._foreach_lerp_(slow, fast, self.tau)

    def update(self, obs, act, rew, nxt):
        actor_opt, critic_opt = self.optimizers
        with torch.no_grad():
            backup = rew + self.gamma * self.critic_target(nxt, self.actor(nxt))
        critic_loss = F.mse_loss(self.critic(obs, act), backup)
        critic_opt.zero_grad()
        critic_loss.backward()
        critic_opt.step()

        # the frozen copy gives a smoother signal for the policy
        actor_loss = -self.critic_target(obs, self.actor(obs)).mean()
        self.sync_target()
        actor_opt.zero_grad()
        actor_loss.backward()
        actor_opt.step()
        return critic_loss.item(), actor_loss.item()


if __name__ == "__main__":
    torch.manual_seed(17)
    agent = Agent()
    for it in range(5):
        obs, nxt = torch.randn(32, 6), torch.randn(32, 6)
        act, rew = torch.rand(32, 2) * 2 - 1, torch.randn(32, 1)
        print(it, agent.update(obs, act, rew, nxt))
