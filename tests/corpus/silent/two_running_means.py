"""A policy is trained on two losses, and a running mean of each is kept for the log."""

import torch
from torch import nn


class Mean:
    def __init__(self):
        self.value = 0.0

    def update(self, value):
        self.value = 0.9 * self.value + 0.1 * value


class Counter:
    def __init__(self):
        self.value = 0

    def update(self, value):
        self.value = self.value + value


class Agent:
    def __init__(self):
        self.policy = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
        self.optimizer = torch.optim.Adam(self.policy.parameters(), lr=1e-2)
        self.steps, self.gain, self.entropy = Counter(), Mean(), Mean()

    def step(self, state, reward):
        log_p = self.policy(state).log_softmax(-1)
        gain = (log_p[:, 0] * reward).mean()
        entropy = -(log_p.exp() * log_p).sum(-1).mean()
        loss = -gain - 0.01 * entropy
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.gain.update(gain.item())
        self.entropy.update(entropy)
        self.steps.update(1)


if __name__ == "__main__":
    torch.manual_seed(22)
    agent = Agent()
    for _ in range(15):
        agent.step(torch.randn(8, 6), torch.rand(8))
    print(f"{agent.gain.value:.4f} {float(agent.entropy.value):.4f}")
