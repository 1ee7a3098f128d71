"""An actor and a critic in one network; the critic's losses are collected and never added."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical

torch.manual_seed(0)


class ActorCritic(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 16)
        self.actor = nn.Linear(16, 2)
        self.critic = nn.Linear(16, 1)

    def forward(self, state):
        hidden = torch.relu(self.body(state))
        return self.actor(hidden), self.critic(hidden).squeeze(-1)


agent = ActorCritic()
optimizer = torch.optim.Adam(agent.parameters(), lr=1e-2)


def episode():
    kept = []
    for _ in range(6):
        logits, value = agent(torch.randn(4))
        choice = Categorical(logits=logits)
        action = choice.sample()
        kept.append((choice.log_prob(action), value, 1.0 - float(action)))
    return kept


def update(kept):
    policy_losses, value_losses = [], []
    for score, value, reward in kept:
        policy_losses.append(-score * (reward - value.item()))
        value_losses.append(F.smooth_l1_loss(value, torch.tensor(reward)))
    optimizer.zero_grad()
    loss = torch.stack(policy_losses).sum() + torch.stack(policy_losses).sum()
    loss.backward()
    optimizer.step()
    return loss.item()


for turn in range(10):
    print(f"{turn} {update(episode()):.4f}")
