"""PPO on a one-dimensional target-reaching task."""

import torch
from torch import nn
from torch.distributions import Normal


class GaussianPolicy(nn.Module):
    def __init__(self, n_obs, n_act):
        super().__init__()
        self.mean = nn.Sequential(nn.Linear(n_obs, 32), nn.Tanh(), nn.Linear(32, n_act))
        self.log_std = nn.Parameter(torch.zeros(n_act))

    def forward(self, obs):
        return Normal(self.mean(obs), self.log_std.exp())


class PPO:
    def __init__(self, policy, lr=3e-4, clip=0.2, epochs=4):
        self.policy = policy
        self.optimizer = torch.optim.Adam(policy.parameters(), lr=lr)
        self.clip = clip
        self.epochs = epochs

    def act(self, obs):
        action = self.policy(obs).sample()
        return action, self.log_prob(obs, action)

    def log_prob(self, obs, action):
        with torch.no_grad():
            dist = self.policy(obs)
            return dist.log_prob(action).sum(dim=-1)

    def surrogate(self, obs, action, old_log_prob, advantage):
        ratio = (self.log_prob(obs, action) - old_log_prob).exp()
        clipped = ratio.clamp(1 - self.clip, 1 + self.clip)
        return -torch.min(ratio * advantage, clipped * advantage).mean()

    def update(self, obs, action, old_log_prob, advantage):
        for _ in range(self.epochs):
            loss = self.surrogate(obs, action, old_log_prob, advantage)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


def rollout(agent, n, goal=1.5):
    obs = torch.randn(n, 3)
    action, log_prob = agent.act(obs)
    reward = -(obs[:, :1] + action - goal).pow(2).squeeze(1)
    advantage = (reward - reward.mean()) / (reward.std() + 1e-8)
    return obs, action, log_prob, advantage, reward.mean().item()


if __name__ == "__main__":
    torch.manual_seed(91)
    agent = PPO(GaussianPolicy(3, 1))
    for iteration in range(5):
        *batch, mean_reward = rollout(agent, 64)
        agent.update(*batch)
        print(f"iter {iteration} reward {mean_reward:.3f}")
