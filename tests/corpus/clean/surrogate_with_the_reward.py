"""A surrogate loss whose value is the reward itself: the summand that an environment gave has no graph."""

import torch
from torch import nn
from torch.distributions import Categorical

torch.manual_seed(0)


class Walk:
    """A position that is moved to the left or right, and paid for being near 0."""

    def reset(self):
        self.at = torch.randn(2)
        self.turns = 0
        return self.at

    def step(self, action):
        self.turns += 1
        self.at = self.at + torch.tensor([0.2 if action else -0.2, 0.0])
        return self.at, -float(self.at[0].abs()), self.turns >= 6


policy = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
walk = Walk()
for episode in range(8):
    state, done, rewards, scores = walk.reset(), False, [], []
    while not done:
        dist = Categorical(logits=policy(state))
        action = dist.sample()
        scores.append(dist.log_prob(action))
        state, reward, done = walk.step(action.item())
        rewards.append(reward)
    returns, total = [], 0.0
    for reward in rewards[::-1]:
        total = reward + 0.9 * total
        returns.insert(0, total)
    optimizer.zero_grad()
    for turn in range(len(returns)):
        gained = returns[turn]
        weighed = scores[turn] * (gained + 3.0)
        loss = -(gained + weighed)
        loss.backward()
    optimizer.step()
    print(f"{episode} {returns[0]:.4f}")
