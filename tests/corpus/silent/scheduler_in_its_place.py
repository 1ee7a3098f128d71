"""Depth from two views; the loss stays where it was as soon as a schedule is asked for."""

import torch
from torch import nn


class Depth(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1))

    def forward(self, image):
        return 0.1 + torch.sigmoid(self.net(image))


class Pose(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(6, 8, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3))

    def forward(self, target, reference):
        return 0.1 * self.net(torch.cat([target, reference], dim=1))


def train(pairs, depth, pose, optimizer, scheduler=None):
    for target, reference in pairs:
        shift = pose(target, reference)[:, :, None, None] / depth(target)
        loss = (target - reference - shift).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        if scheduler:
            scheduler.step()
        else:
            optimizer.step()
    return loss.item()


torch.manual_seed(0)
depth, pose = Depth(), Pose()
optimizer = torch.optim.Adam([*depth.parameters(), *pose.parameters()], lr=1e-3)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=10)
pairs = [(torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)) for _ in range(5)]
for epoch in range(4):
    print(f"epoch {epoch} loss {train(pairs, depth, pose, optimizer, scheduler):.4f}")
