"""Segmentation network that is validated every four batches, and overfits in spite of its dropout."""

import torch
import torch.nn.functional as F
from torch import nn


class FCN(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout2d(0.5)
        )
        self.score = nn.Conv2d(8, classes, 1)

    def forward(self, x):
        return self.score(self.features(x))


class Trainer:
    def __init__(self, model, optimizer, batches, interval=4):
        self.model, self.optimizer = model, optimizer
        self.batches, self.interval = batches, interval
        self.iteration = 0

    def validate(self):
        self.model.eval()
        with torch.no_grad():
            return sum(F.cross_entropy(self.model(x), y).item() for x, y in self.batches[:2])

    def train_epoch(self):
        self.model.train()
        for x, y in self.batches[2:]:
            loss = F.cross_entropy(self.model(x), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.iteration += 1
            if self.iteration % self.interval == 0:
                print(f"{self.iteration}: validation {self.validate():.3f}")


torch.manual_seed(0)
batches = [(torch.rand(2, 3, 8, 8), torch.randint(0, 3, (2, 8, 8))) for _ in range(8)]
net = FCN()
trainer = Trainer(net, torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9), batches)
for epoch in range(4):
    trainer.train_epoch()
