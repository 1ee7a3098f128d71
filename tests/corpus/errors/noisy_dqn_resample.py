"""DQN with a noisy output layer on a toy chain environment."""

import copy
import random
from collections import deque

import torch
from torch import nn


def fill_noise(buffer):
    buffer.normal_()


class NoisyLinear(nn.Module):
    def __init__(self, n_in, n_out, sigma=0.5):
        super().__init__()
        self.mu = nn.Parameter(torch.empty(n_out, n_in).uniform_(-0.1, 0.1))
        self.sigma = nn.Parameter(torch.full((n_out, n_in), sigma / n_in**0.5))
        self.bias = nn.Parameter(torch.zeros(n_out))
        self.register_buffer("epsilon", torch.zeros(n_out, n_in))
        self.reset_noise()

    def reset_noise(self):
        fill_noise(self.epsilon)

    def forward(self, x):
        weight = self.mu + self.sigma * self.epsilon
        return nn.functional.linear(x, weight, self.bias)


class QNet(nn.Module):
    def __init__(self, n_obs, n_actions):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n_obs, 32), nn.ReLU())
        self.head = NoisyLinear(32, n_actions)

    def forward(self, obs):
        return self.head(self.body(obs))


def td_loss(online, target, batch, gamma=0.99):
    obs, act, rew, nxt = (torch.stack(item) for item in zip(*batch))
    q = online(obs).gather(1, act.unsqueeze(1)).squeeze(1)
    online.head.reset_noise()
    target.head.reset_noise()
    with torch.no_grad():
        best = online(nxt).argmax(dim=1, keepdim=True)
        backup = rew + gamma * target(nxt).gather(1, best).squeeze(1)
    return nn.functional.smooth_l1_loss(q, backup)


def main():
    random.seed(0)
    torch.manual_seed(0)
    online = QNet(4, 2)
    target = copy.deepcopy(online)
    optimizer = torch.optim.Adam(online.parameters(), lr=1e-3)
    replay = deque(maxlen=500)
    obs = torch.randn(4)
    for step in range(60):
        action = online(obs).argmax().detach()
        nxt = 0.9 * obs + 0.3 * torch.randn(4) + 0.1 * action
        replay.append((obs, action, nxt.sum(), nxt))
        obs = nxt
        if step >= 32:
            loss = td_loss(online, target, random.sample(replay, 16))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


if __name__ == "__main__":
    main()
