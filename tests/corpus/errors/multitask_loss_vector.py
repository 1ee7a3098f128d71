"""Multi-task learning with learned uncertainty weights for two heads."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class MultiTaskNet(nn.Module):
    def __init__(self, n_in, hidden, n_classes):
        super().__init__()
        self.shared = nn.Sequential(nn.Linear(n_in, hidden), nn.ReLU())
        self.classify = nn.Linear(hidden, n_classes)
        self.regress = nn.Linear(hidden, 1)

    def forward(self, x):
        h = self.shared(x)
        return self.classify(h), self.regress(h).squeeze(1)


class UncertaintyWeighting(nn.Module):
    def __init__(self, n_tasks):
        super().__init__()
        self.log_vars = nn.Parameter(torch.zeros(n_tasks))

    def forward(self, losses):
        precision = torch.exp(-self.log_vars)
        return precision * torch.stack(losses) + 0.5 * self.log_vars


def make_batch(n, projection):
    x = torch.randn(n, 10)
    hidden = x @ projection
    return x, hidden.argmax(dim=1), hidden.sum(dim=1)


def train(steps=20):
    torch.manual_seed(111)
    projection = torch.randn(10, 4)
    model, weighting = MultiTaskNet(10, 32, 4), UncertaintyWeighting(2)
    optimizer = torch.optim.Adam(
        [
            {"params": model.parameters()},
            {"params": weighting.parameters(), "lr": 1e-2},
        ],
        lr=1e-3,
    )
    for step in range(steps):
        x, label, value = make_batch(64, projection)
        logits, pred = model(x)
        losses = [F.cross_entropy(logits, label), F.mse_loss(pred, value)]
        loss = weighting(losses)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 5 == 0:
            print(step, [round(item.item(), 3) for item in losses])


if __name__ == "__main__":
    train()
