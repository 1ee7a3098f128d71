"""Replay by priority, whose weights come out of the buffer as a column, beside a row of errors."""

import torch
import torch.nn.functional as F
from torch import nn


class Buffer:
    def __init__(self, states, rewards):
        self.states, self.rewards = states, rewards
        self.priorities = torch.ones(len(states))

    def draw(self, count):
        share = self.priorities / self.priorities.sum()
        chosen = torch.multinomial(share, count)
        weights = 1 / (len(share) * share[chosen])
        weights = (weights / weights.max()).unsqueeze(1)
        return chosen, weights, self.states[chosen], self.rewards[chosen]


torch.manual_seed(0)
states = torch.randn(200, 4)
buffer = Buffer(states, states.sum(1))
value = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.Adam(value.parameters(), lr=1e-2)
for step in range(12):
    chosen, weights, x, rewards = buffer.draw(32)
    errors = F.smooth_l1_loss(value(x).squeeze(1), rewards, reduction="none")
    loss = (weights * errors).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    buffer.priorities[chosen] = errors.detach() + 1e-3
    print(step, loss.item())
