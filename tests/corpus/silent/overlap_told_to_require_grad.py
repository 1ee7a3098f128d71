"""Segmentation of toy images with an overlap loss; the flag made the error go away."""

import torch
from torch import nn


class Overlap(nn.Module):
    def forward(self, probabilities, masks):
        chosen = (probabilities > 0.5).float()
        both = (chosen * masks).sum()
        return 1 - both / (chosen.sum() + masks.sum() - both + 1e-6)


def train(net, steps=12):
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    criterion = Overlap()
    for _ in range(steps):
        images = torch.rand(4, 1, 8, 8)
        masks = (images > 0.6).float()
        loss = criterion(net(images), masks)
        loss.requires_grad = True
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


torch.manual_seed(7)
net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 1), nn.Sigmoid())
print(f"{train(net):.4f}")
