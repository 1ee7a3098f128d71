"""One network under several names, which say so, beside a target that is a copy."""

import copy

import torch
import torch.nn.functional as F
from torch import nn


class Towers(nn.Module):
    def __init__(self):
        super().__init__()
        self.tower1 = nn.Linear(4, 8)
        self.tower2 = self.tower1
        self.query_encoder = self.document_encoder = nn.Linear(8, 4)

    def forward(self, one, other):
        return self.query_encoder(self.tower1(one)), self.document_encoder(self.tower2(other))


class Agent:
    def __init__(self, network):
        self.network = self.policy = network
        self.target_network = copy.deepcopy(network)
        self.q1, self.q2 = nn.Linear(4, 1), nn.Linear(4, 1)
        trained = [*network.parameters(), *self.q1.parameters(), *self.q2.parameters()]
        self.optimizer = torch.optim.Adam(trained, lr=1e-3)

    def step(self):
        one, other = self.policy(torch.randn(8, 4), torch.randn(8, 4))
        with torch.no_grad():
            goal, _ = self.target_network(torch.randn(8, 4), torch.randn(8, 4))
        loss = F.mse_loss(one, other) + F.mse_loss(one, goal)
        loss = loss + F.mse_loss(self.q1(one), goal[:, :1]) + F.mse_loss(self.q2(one), goal[:, :1])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def main():
    torch.manual_seed(0)
    agent = Agent(Towers())
    for step in range(5):
        print(step, f"{agent.step():.4f}")


main()
