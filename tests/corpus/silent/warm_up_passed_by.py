"""A rate that warms up in a class around Adam, of which the loop steps the Adam inside."""

import torch
import torch.nn.functional as F
from torch import nn


class WarmUp:
    def __init__(self, optimizer, width, warm):
        self.optimizer, self.width, self.warm = optimizer, width, warm
        self.count = 0

    def step(self):
        self.count += 1
        rate = self.width**-0.5 * min(self.count**-0.5, self.count * self.warm**-1.5)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()


torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
schedule = WarmUp(torch.optim.Adam(model.parameters(), lr=0, betas=(0.9, 0.98)), 16, 10)
for step in range(12):
    x = torch.randn(32, 6)
    loss = F.cross_entropy(model(x), x[:, :3].argmax(1))
    schedule.optimizer.zero_grad()
    loss.backward()
    schedule.optimizer.step()
    print(step, loss.item(), schedule.count)
