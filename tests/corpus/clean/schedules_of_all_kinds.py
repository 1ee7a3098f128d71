"""Rates that rise from 0, fall to 0 at the end, rest for a while, or whose cycle ends early."""

import torch
from torch import nn
from torch.optim import lr_scheduler

STEPS = 24

torch.manual_seed(0)
parts = nn.ModuleList(nn.Linear(4, 1) for _ in range(5))
optimizers = [torch.optim.SGD(each.parameters(), lr=0.05) for each in parts]
# Stopped long before its end, as an early stopping does; and planned in epochs.
stopped = lr_scheduler.OneCycleLR(optimizers[0], 0.1, total_steps=10 * STEPS)
epochs = lr_scheduler.OneCycleLR(optimizers[1], 0.1, total_steps=STEPS // 6 + 1)
cosine = lr_scheduler.CosineAnnealingLR(optimizers[2], T_max=STEPS)
warm = lr_scheduler.LambdaLR(optimizers[3], lambda step: min(1.0, step / 10))
late = lr_scheduler.LambdaLR(optimizers[4], lambda step: 0.0 if step < 14 else 1.0)
for step in range(STEPS):
    x = torch.randn(16, 4)
    loss = sum((part(x) - x.sum(1, keepdim=True)).square().mean() for part in parts)
    for each in optimizers:
        each.zero_grad()
    loss.backward()
    for each in optimizers:
        each.step()
    for each in (stopped, cosine, warm, late):
        each.step()
    if step % 6 == 5:
        epochs.step()
