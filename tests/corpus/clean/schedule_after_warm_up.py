"""A schedule that is stepped once warm-up is over, which a short run never reaches."""

import torch
from torch import nn


def train(model, batches, warm_up):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=100)
    for turn, (x, y) in enumerate(batches):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if turn >= warm_up:
            cosine.step()
    print(f"loss {loss.item():.4f}, rate {cosine.get_last_lr()[0]:g}")


torch.manual_seed(0)
batches = [(torch.randn(16, 6), torch.randint(0, 3, (16,))) for _ in range(12)]
train(nn.Linear(6, 3), batches, warm_up=50)
train(nn.Linear(6, 3), batches, warm_up=2)
