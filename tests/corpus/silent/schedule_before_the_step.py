"""A warm-up whose scheduler is stepped between the backward and the optimizer's step."""

import warnings

import torch
import torch.nn.functional as F
from torch import nn

# The training prints its losses, and nothing else.
warnings.simplefilter("ignore")


class Trainer:
    def __init__(self, total=12, warmup=4):
        self.net = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.2)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: min(1.0, (step + 1) / warmup)
        )
        self.total = total

    def batch(self, inputs, labels):
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.net(inputs), labels)
        loss.backward()
        self.scheduler.step()
        self.optimizer.step()
        return loss.item()

    def fit(self):
        for step in range(self.total):
            inputs = torch.randn(16, 6)
            print(step, self.batch(inputs, inputs[:, :3].argmax(1)))


torch.manual_seed(0)
Trainer().fit()
