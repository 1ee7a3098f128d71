"""Averaged weights for the evaluation: what is to be put back was kept by reference."""

import torch
from torch import nn


class Averaged:
    def __init__(self, model, decay=0.9):
        self.decay, self.backup = decay, {}
        self.shadow = {name: p.data.clone() for name, p in model.named_parameters()}

    def update(self, model):
        for name, p in model.named_parameters():
            self.shadow[name] = (1 - self.decay) * p.data + self.decay * self.shadow[name]

    def apply(self, model):
        for name, p in model.named_parameters():
            self.backup[name] = p.data
            p.data.copy_(self.shadow[name])

    def restore(self, model):
        for name, p in model.named_parameters():
            p.data = self.backup[name]


torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 1))
averaged = Averaged(model)
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
x = torch.randn(64, 6)
y = x[:, :1] - x[:, 1:2]
for epoch in range(3):
    for start in range(0, 64, 16):
        loss = nn.functional.mse_loss(model(x[start : start + 16]), y[start : start + 16])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        averaged.update(model)
    averaged.apply(model)
    with torch.no_grad():
        score = nn.functional.mse_loss(model(x), y).item()
    averaged.restore(model)
    print(epoch, loss.item(), score)
