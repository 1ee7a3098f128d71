import copy

import torch
from torch import nn


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, state, action):
        return self.net(torch.cat([state, action], dim=1))


def main():
    torch.manual_seed(0)
    actor = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1), nn.Tanh())
    critic = Critic()
    target = copy.deepcopy(critic).requires_grad_(False)
    actor_optim = torch.optim.Adam(actor.parameters(), lr=1e-4)
    critic_optim = torch.optim.Adam(critic.parameters(), lr=1e-3)
    for _ in range(20):
        state, after = torch.randn(64, 4), torch.randn(64, 4)
        action = 2 * torch.rand(64, 1) - 1
        with torch.no_grad():
            y = state[:, :1] + 0.9 * target(after, actor(after))
        q_loss = (critic(state, action) - y).square().mean()
        q_loss.backward()
        critic_optim.step()
        critic_optim.zero_grad()

        pi_loss = -critic(state, actor(state)).mean()
        pi_loss.backward()
        actor_optim.step()
        actor_optim.zero_grad()

        with torch.no_grad():
            for t, p in zip(target.parameters(), critic.parameters(), strict=True):
                t.lerp_(p, 0.01)
    print(f"q {q_loss.item():.4f} pi {pi_loss.item():.4f}")


main()
