"""Sensor readings: a frozen backbone that is thawed after some epochs."""

import torch
import torch.nn as nn


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(6, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh())
        self.head = nn.Linear(24, 1)

    def forward(self, x):
        return self.head(self.backbone(x))


def set_trainable(module, flag):
    for p in module.parameters():
        p.requires_grad = flag


torch.manual_seed(23)
model = Regressor()
set_trainable(model.backbone, False)
optimizer = torch.optim.Adam(filter(lambda p: p.requires_grad, model.parameters()), lr=3e-3)
criterion = nn.MSELoss()
for epoch in range(20):
    if epoch == 5:
        set_trainable(model.backbone, True)
    for batch in range(8):
        x = torch.randn(32, 6)
        y = (x[:, :1] * x[:, 1:2]).sin()
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
    if epoch % 5 == 4:
        print(epoch, f"{loss.item():.4f}")
