"""Weights that are kept, swapped and put back, with the copies that it takes."""

import copy

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
x = torch.randn(64, 6)
y = x[:, :1] - x[:, 1:2]
shadow = {name: p.data.clone() for name, p in model.named_parameters()}
# What is looked at later, and never written back.
seen = [p.data for p in model.parameters()]
# A target that shares its first layer with the network, and follows the rest.
target = copy.deepcopy(model)
target[0] = model[0]
backup = {}


def score():
    with torch.no_grad():
        return nn.functional.mse_loss(model(x), y).item()


for epoch in range(3):
    for start in range(0, 64, 16):
        loss = nn.functional.mse_loss(model(x[start : start + 16]), y[start : start + 16])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for name, p in model.named_parameters():
            shadow[name].mul_(0.9).add_(p.data, alpha=0.1)
        for p, q in zip(model.parameters(), target.parameters(), strict=True):
            q.data.copy_(p.data)
    # Another memory takes the place of the weights, and goes again.
    for name, p in model.named_parameters():
        backup[name] = p.data
        p.data = shadow[name]
    averaged = score()
    for name, p in model.named_parameters():
        p.data = backup[name]
    # The values are copied out, and in again.
    kept = [p.data.clone() for p in model.parameters()]
    for p in model.parameters():
        p.data.mul_(0.5)
    halved = score()
    for p, q in zip(model.parameters(), kept, strict=True):
        p.data.copy_(q)
    # Nothing to do, as they are where they should be.
    for p in model.parameters():
        p.data = p.data.float().contiguous()
    print(epoch, loss.item(), averaged, halved, sum(each.sum().item() for each in seen))
