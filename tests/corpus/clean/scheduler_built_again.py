"""Thawing with a new optimizer and a new scheduler; then a schedule that is copied by hand."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(22)
backbone = nn.Sequential(nn.Linear(12, 16), nn.ReLU())
head = nn.Linear(16, 5)
model = nn.Sequential(backbone, head)


def make_optimizer(lr):
    return torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=lr, momentum=0.9)


backbone.requires_grad_(False)
optimizer = make_optimizer(0.05)
scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.8)
# A pacemaker: its own steps are never taken, its rate is handed to the optimizer that steps.
pacemaker = None
for epoch in range(16):
    if epoch == 4:
        backbone.requires_grad_(True)
        optimizer = make_optimizer(0.02)
        scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.9)
    if epoch == 8:
        pacemaker = torch.optim.SGD(model.parameters(), lr=0.02)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(pacemaker, T_max=20)
    for _ in range(3):
        labels = torch.randint(0, 5, (16,))
        inputs = torch.randn(16, 12) + F.one_hot(labels, 12) * 2.0
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), labels)
        loss.backward()
        optimizer.step()
    scheduler.step()
    if pacemaker is not None:
        for group in optimizer.param_groups:
            group["lr"] = scheduler.get_last_lr()[0]
    print(epoch, f"{loss.item():.4f}", optimizer.param_groups[0]["lr"])
