"""A rate is lowered when the validation stops improving, by a scheduler that was copied from a
script that watches an accuracy."""

import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

torch.manual_seed(21)
model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1))
criterion = nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
plateau = ReduceLROnPlateau(optimizer, "max", factor=0.1, patience=2)
x, held_out = torch.randn(256, 4), torch.randn(64, 4)
y, wanted = x.square().sum(1, keepdim=True), held_out.square().sum(1, keepdim=True)
for epoch in range(12):
    model.train()
    for part, target in zip(x.split(64), y.split(64)):
        optimizer.zero_grad()
        criterion(model(part), target).backward()
        optimizer.step()
    model.eval()
    val_loss = 0.0
    with torch.no_grad():
        for part, target in zip(held_out.split(32), wanted.split(32)):
            val_loss += criterion(model(part), target).item() * len(part)
    val_loss /= len(held_out)
    plateau.step(val_loss)
    print(epoch, round(val_loss, 3), optimizer.param_groups[0]["lr"])
