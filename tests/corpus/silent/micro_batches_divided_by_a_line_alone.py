"""Gradients of four micro-batches added up, and a division that is written and not kept."""

import torch
from torch import nn

ACCUMULATE = 4


def train_one_epoch(model, batches, optimizer):
    optimizer.zero_grad()
    total = 0.0
    for i, (x, y) in enumerate(batches):
        loss = nn.functional.mse_loss(model(x), y)
        loss / ACCUMULATE
        loss.backward()
        total += loss.item()
        if (i + 1) % ACCUMULATE == 0:
            optimizer.step()
            optimizer.zero_grad()
    return total / len(batches)


def main():
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    weights = torch.randn(5, 1)
    batches = [(x, x @ weights) for x in torch.randn(16, 8, 5)]
    for epoch in range(4):
        print(f"epoch {epoch} loss {train_one_epoch(model, batches, optimizer):.4f}")


if __name__ == "__main__":
    main()
