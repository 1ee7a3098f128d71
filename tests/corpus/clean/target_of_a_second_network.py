"""A value that follows a second network's, which follows it slowly."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
gamma = 0.9
net = nn.Linear(4, 2)
target_net = copy.deepcopy(net).requires_grad_(False)
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
for turn in range(8):
    state, after, reward = torch.randn(16, 4), torch.randn(16, 4), torch.randn(16)
    target = reward + gamma * target_net(after).max(1).values
    loss = F.mse_loss(net(state)[:, 0], target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for slow, fast in zip(target_net.parameters(), net.parameters(), strict=True):
            slow.lerp_(fast, 0.1)
print("learned")
