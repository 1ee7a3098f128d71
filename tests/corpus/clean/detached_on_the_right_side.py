"""Summands that are detached on one side where that is meant, and a base class's forward."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Encoder(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
        self.delta = torch.zeros(8, requires_grad=True)

    def forward(self, x):
        return F.normalize(super().forward(x), dim=-1)


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(4, 1)
        self.noise = torch.zeros(4, requires_grad=False)

    def forward(self, code):
        return self.net(code + self.noise).squeeze(-1)


def main():
    encoder, critic = Encoder(), Critic()
    teacher = copy.deepcopy(encoder).eval()
    optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-3)
    critic_optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3)
    for step in range(10):
        x = torch.randn(16, 8)
        code = encoder(x)
        distance = (code - teacher(x).detach()).square().mean()
        value = critic(code.detach())
        advantage = (x[:, 0] - value).detach()
        loss = distance + 0.1 * F.mse_loss(value, x[:, 0]) - (advantage * code[:, 0]).mean()
        optimizer.zero_grad()
        critic_optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        critic_optimizer.step()
        with torch.no_grad():
            for mine, other in zip(teacher.parameters(), encoder.parameters(), strict=True):
                mine.lerp_(other, 0.05)
        print(step, round(loss.item(), 4))


if __name__ == "__main__":
    main()
