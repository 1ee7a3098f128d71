"""Fine-tuning with a learning rate that halves every epoch, or would."""

import torch
from torch import nn


class Learner:
    def __init__(self, model, epochs):
        self.model, self.epochs = model, epochs
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
        self.schedule = torch.optim.lr_scheduler.ExponentialLR(self.optimizer, gamma=0.5)

    def batch(self, x, y):
        loss = nn.functional.cross_entropy(self.model(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def fit(self, batches):
        for epoch in range(self.epochs):
            losses = [self.batch(x, y) for x, y in batches]
            rate = self.schedule.get_last_lr()[0]
            print(f"epoch {epoch}: loss {sum(losses) / len(losses):.4f}, rate {rate:g}")


torch.manual_seed(0)
batches = [(torch.randn(16, 6), torch.randint(0, 3, (16,))) for _ in range(5)]
Learner(nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3)), epochs=4).fit(batches)
