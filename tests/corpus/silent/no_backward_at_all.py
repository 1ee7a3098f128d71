"""The line with the backward is missing: every step passes over parameters without a gradient."""

import torch
from torch import nn

torch.manual_seed(0)


class Trainer:
    def __init__(self, net, lr=1e-2):
        self.net = net
        self.optimizer = torch.optim.Adam(net.parameters(), lr=lr)
        self.criterion = nn.CrossEntropyLoss()

    def train_step(self, x, y):
        self.optimizer.zero_grad()
        logits = self.net(x)
        penalty = 1e-4 * sum(p.square().sum() for p in self.net.parameters())
        loss = self.criterion(logits, y) + penalty
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        return loss.item()


trainer = Trainer(nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3)))
for step in range(12):
    value = trainer.train_step(torch.randn(16, 6), torch.randint(0, 3, (16,)))
print(f"{value:.4f}")
