"""A learner in a class whose target is chosen by torch.where, and keeps its graph."""

import random
from collections import deque

import torch
from torch import nn

random.seed(0)
torch.manual_seed(0)


class QNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, s):
        return self.f(s)


class Agent:
    def __init__(self):
        self.q = QNet()
        self.opt = torch.optim.Adam(self.q.parameters(), lr=1e-3)
        self.memory = deque(maxlen=200)
        self.gamma = 0.9

    def learn(self):
        batch = random.sample(self.memory, 32)
        s, a, r, s2, d = (torch.stack(c) for c in zip(*batch))
        q = self.q(s).gather(1, a.unsqueeze(1)).squeeze(1)
        best = self.q(s2).max(1)[0]
        target = torch.where(d.bool(), r, r + self.gamma * best)
        loss = nn.functional.smooth_l1_loss(q, target)
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        return loss.item()


agent = Agent()
s = torch.randn(4)
for t in range(100):
    a = torch.tensor(random.randrange(2))
    s2 = torch.randn(4)
    agent.memory.append((s, a, s[0] * (a * 2.0 - 1), s2, torch.tensor(float(t % 20 == 19))))
    s = s2
    if len(agent.memory) >= 40:
        loss = agent.learn()
print(round(loss, 4))
