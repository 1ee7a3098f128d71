"""Trainer with a backward helper, as used for both single and mixed precision runs."""

import torch
import torch.nn.functional as F
from torch import nn


class Scorer(nn.Module):
    def __init__(self, n_in=10, width=32):
        super().__init__()
        self.inner = nn.Linear(n_in, width)
        self.gate = nn.Linear(n_in, width)
        self.score = nn.Linear(width, 1)

    def forward(self, x):
        h = self.inner(x) * torch.sigmoid(self.gate(x))
        return self.score(h).squeeze(-1)


class Engine:
    """Owns the optimizer; `backward` takes the step when the gradients are complete."""

    def __init__(self, module, lr):
        self.module = module
        self.optimizer = torch.optim.SGD(module.parameters(), lr=lr, momentum=0.9)

    def backward(self, loss):
        loss.backward()
        nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        self.optimizer.step()


class Trainer:
    def __init__(self, engine):
        self.engine = engine
        self.log = []

    def training_step(self, x, y):
        loss = F.binary_cross_entropy_with_logits(self.engine.module(x), y)
        self.engine.backward(loss)
        return loss.detach()

    def train(self, batches, epochs):
        optimizer = self.engine.optimizer
        for epoch in range(epochs):
            for x, y in batches:
                loss = self.training_step(x, y)
                optimizer.step()
                optimizer.zero_grad()
                self.log.append(loss.item())
            print(f"epoch {epoch} loss {sum(self.log[-len(batches) :]) / len(batches):.4f}")


def make_data(n=6):
    w = torch.randn(10)
    return [(x, (x @ w > 0).float()) for x in torch.randn(n, 32, 10)]


if __name__ == "__main__":
    torch.manual_seed(4)
    model = Scorer()
    trainer = Trainer(Engine(model, lr=0.1))
    trainer.train(make_data(), epochs=4)
