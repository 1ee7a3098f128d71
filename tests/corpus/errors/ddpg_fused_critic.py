"""DDPG-style actor and critic, both optimised with the fused Adam kernel."""

import torch
import torch.nn.functional as F
from torch import nn


class Critic(nn.Module):
    def __init__(self, n_obs, n_act, hidden=32):
        super().__init__()
        self.q = nn.Sequential(
            nn.Linear(n_obs + n_act, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 1),
        )

    def forward(self, obs, act):
        return self.q(torch.cat([obs, act], dim=-1))


class Actor(nn.Module):
    def __init__(self, n_obs, n_act, hidden=32):
        super().__init__()
        self.pi = nn.Sequential(
            nn.Linear(n_obs, hidden), nn.ReLU(), nn.Linear(hidden, n_act), nn.Tanh()
        )

    def forward(self, obs):
        return self.pi(obs)


def reward_fn(obs, act):
    return -(obs[:, :2] - act).pow(2).sum(dim=1, keepdim=True)


def losses(actor, critic, obs, act, rew):
    critic_loss = F.mse_loss(critic(obs, act), rew)
    actor_loss = -critic(obs, actor(obs)).mean()
    return critic_loss, actor_loss


def main():
    torch.manual_seed(131)
    actor, critic = Actor(4, 2), Critic(4, 2)
    actor_opt = torch.optim.Adam(actor.parameters(), lr=1e-2, fused=True)
    critic_opt = torch.optim.Adam(critic.parameters(), lr=1e-2, fused=True)
    for update in range(6):
        obs = torch.randn(64, 4)
        act = (actor(obs) + 0.3 * torch.randn(64, 2)).clamp(-1, 1).detach()
        critic_loss, actor_loss = losses(actor, critic, obs, act, reward_fn(obs, act))

        critic_opt.zero_grad()
        critic_loss.backward()
        critic_opt.step()

        actor_opt.zero_grad()
        actor_loss.backward()
        actor_opt.step()
        print(f"{update}: q {critic_loss.item():.4f} pi {actor_loss.item():.4f}")


if __name__ == "__main__":
    main()
