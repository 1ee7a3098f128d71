"""A stream with broken batches: those whose loss or gradient is not finite are skipped."""

import logging

import torch
import torch.nn.functional as F
from torch import nn

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
log = logging.getLogger("train")


class SensorNet(nn.Module):
    def __init__(self, n_in=7, width=20):
        super().__init__()
        self.fc1 = nn.Linear(n_in, width)
        self.fc2 = nn.Linear(width, 1)

    def forward(self, x):
        return self.fc2(torch.tanh(self.fc1(x))).squeeze(1)


class BadBatch(RuntimeError):
    pass


def stream(n, weights):
    for i in range(n):
        x = torch.randn(16, 7)
        y = x @ weights
        if i % 7 == 3:
            x[0, 2] = float("nan")
        if i % 7 == 5:
            y[1] = float("inf")
        if i % 11 == 8:
            y *= 1e10
        yield x, y


class Trainer:
    def __init__(self, model, lr):
        self.model = model
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        self.skipped = 0

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = F.mse_loss(self.model(x), y)
        if not torch.isfinite(loss):
            raise BadBatch(f"loss is {loss.item()}")
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), 10.0)
        if norm > 1e6:
            raise BadBatch(f"gradient norm is {norm.item():.1e}")
        self.optimizer.step()
        return loss.item()

    def run(self, batches):
        for i, (x, y) in enumerate(batches):
            try:
                loss = self.step(x, y)
            except BadBatch as error:
                self.skipped += 1
                log.warning("batch %d skipped: %s", i, error)
                continue
            if i % 6 == 0:
                log.info("batch %d loss %.4f", i, loss)


if __name__ == "__main__":
    torch.manual_seed(0)
    trainer = Trainer(SensorNet(), lr=0.01)
    trainer.run(stream(24, torch.randn(7)))
    log.info("skipped %d", trainer.skipped)
