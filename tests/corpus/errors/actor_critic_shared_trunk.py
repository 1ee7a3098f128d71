"""Advantage actor-critic on a bandit-like task; both heads share one trunk."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical


class ActorCritic(nn.Module):
    def __init__(self, n_obs, n_actions):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(n_obs, 32), nn.Tanh())
        self.policy = nn.Linear(32, n_actions)
        self.value = nn.Linear(32, 1)

    def forward(self, obs):
        feat = self.trunk(obs)
        return Categorical(logits=self.policy(feat)), self.value(feat).squeeze(-1)


class ContextBandit:
    def __init__(self, n_obs, n_actions):
        self.best = torch.randn(n_obs, n_actions)

    def observe(self, n):
        return torch.randn(n, len(self.best))

    def reward(self, obs, action):
        return (obs @ self.best).gather(1, action.unsqueeze(1)).squeeze(1)


class A2C:
    def __init__(self, model, lr=1e-3):
        self.model = model
        self.optimizers = [
            torch.optim.Adam([*model.trunk.parameters(), *model.policy.parameters()], lr=lr),
            torch.optim.Adam(model.value.parameters(), lr=5 * lr),
        ]

    def learn(self, env, n=64):
        obs = env.observe(n)
        dist, value = self.model(obs)
        action = dist.sample()
        reward = env.reward(obs, action)
        advantage = (reward - value).detach()

        policy_loss = -(dist.log_prob(action) * advantage).mean() - 0.01 * dist.entropy().mean()
        value_loss = F.mse_loss(value, reward)
        for loss, optimizer in zip([policy_loss, value_loss], self.optimizers):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return reward.mean().item()


if __name__ == "__main__":
    torch.manual_seed(19)
    env = ContextBandit(5, 3)
    agent = A2C(ActorCritic(5, 3))
    for update in range(10):
        print(update, agent.learn(env))
