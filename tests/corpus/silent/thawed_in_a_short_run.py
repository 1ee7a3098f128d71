"""Scores of tiles: the trunk is thawed after two of six epochs, in a run of a few dozen steps."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Scorer(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 12), nn.ReLU())
        self.score = nn.Linear(12, 3)

    def forward(self, x):
        return self.score(self.trunk(x))


class Trainer:
    def __init__(self, thaw_at):
        self.net, self.thaw_at = Scorer(), thaw_at
        self.set_trunk(False)
        wanted = filter(lambda p: p.requires_grad, self.net.parameters())
        self.optimizer = torch.optim.Adam(wanted, lr=1e-2)

    def set_trunk(self, flag):
        for p in self.net.trunk.parameters():
            p.requires_grad = flag

    def run(self, epoch):
        if epoch == self.thaw_at:
            self.set_trunk(True)
        for _ in range(9):
            x = torch.randn(16, 8)
            labels = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
            loss = F.cross_entropy(self.net(x), labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return loss.item()


torch.manual_seed(37)
trainer = Trainer(2)
for epoch in range(6):
    print(epoch, f"{trainer.run(epoch):.4f}")
