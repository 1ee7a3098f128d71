"""Q-learning of a walk on a line, without a second network."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Values(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 24), nn.ReLU(), nn.Linear(24, 2))

    def forward(self, state):
        return self.body(state)


class Learner:
    def __init__(self, gamma=0.95):
        self.q = Values()
        self.gamma = gamma
        self.optimizer = torch.optim.Adam(self.q.parameters(), lr=3e-3)

    def loss(self, state, action, reward, after, done):
        chosen = self.q(state).gather(1, action.unsqueeze(1)).squeeze(1)
        best = self.q(after).max(dim=1).values
        target = reward + self.gamma * best * (1 - done)
        return F.smooth_l1_loss(chosen, target)

    def learn(self, batch):
        loss = self.loss(*batch)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


learner = Learner()
for turn in range(12):
    state, after = torch.randn(32, 4), torch.randn(32, 4)
    action = torch.randint(2, (32,))
    batch = (state, action, state[:, 0], after, (after[:, 1] > 1).float())
    value = learner.learn(batch)
print("learned")
