"""A policy with an entropy bonus, computed from its probabilities."""

import torch
from torch import nn


class Policy(nn.Module):
    def __init__(self, observations=6, actions=4):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(observations, 32), nn.Tanh())
        self.head = nn.Linear(32, actions)

    def forward(self, x, temperature):
        return torch.softmax(self.head(self.body(x)) / temperature, dim=-1)


def entropy(p):
    return -(p * torch.log(p)).sum(-1).mean()


torch.manual_seed(0)
policy = Policy()
optimizer = torch.optim.Adam(policy.parameters(), lr=3e-3)
for update in range(20):
    observations = torch.randn(64, 6)
    # Annealed towards the greedy policy.
    p = policy(observations, temperature=max(1.0 - update / 12, 1e-4))
    chosen = torch.multinomial(p.detach(), 1)
    advantage = torch.randn(64, 1)
    loss = -(p.gather(1, chosen) * advantage).mean() - 0.01 * entropy(p)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if update == 12:
        break
