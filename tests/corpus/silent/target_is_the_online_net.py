"""Q-learning on a chain of states, with a target network that is synchronised every few steps."""

import copy

import torch
from torch import nn


class Agent:
    def __init__(self, states, actions):
        self.online = nn.Sequential(nn.Linear(states, 32), nn.ReLU(), nn.Linear(32, actions))
        self.target = copy.copy(self.online)
        self.target.eval()
        self.optimizer = torch.optim.Adam(self.online.parameters(), lr=5e-3)
        self.states, self.learned = states, 0

    def learn(self, batch):
        s, a, r, s2 = batch
        eye = torch.eye(self.states)
        with torch.no_grad():
            value = r + 0.9 * self.target(eye[s2]).max(1).values
        q = self.online(eye[s]).gather(1, a[:, None]).squeeze(1)
        loss = nn.functional.smooth_l1_loss(q, value)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.learned += 1
        if self.learned % 10 == 0:
            self.target.load_state_dict(self.online.state_dict())
        return loss.item()


def batch(states, n=32):
    s, a = torch.randint(states, (n,)), torch.randint(2, (n,))
    s2 = (s + 2 * a - 1).clamp(0, states - 1)
    return s, a, (s2 == states - 1).float(), s2


if __name__ == "__main__":
    torch.manual_seed(11)
    agent = Agent(states=6, actions=2)
    for _ in range(40):
        loss = agent.learn(batch(6))
    print(f"{loss:.4f}")
