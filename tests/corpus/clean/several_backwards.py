"""Segmentation with a Dice loss and a cross-entropy loss, each with its own backward."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(1)


class SegNet(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.enc = nn.Conv2d(1, width, 3, padding=1)
        self.mid = nn.Conv2d(width, width, 3, padding=1)
        self.mask = nn.Conv2d(width, 1, 1)
        self.area = nn.Linear(width, 1)

    def forward(self, x):
        h = torch.relu(self.mid(torch.relu(self.enc(x))))
        return self.mask(h).squeeze(1), self.area(h.mean(dim=(2, 3))).squeeze(1)


def dice_loss(logits, target):
    p = logits.sigmoid()
    overlap = 2 * (p * target).sum(dim=(1, 2)) + 1
    return (1 - overlap / (p.sum(dim=(1, 2)) + target.sum(dim=(1, 2)) + 1)).mean()


def blobs(n, size=10):
    centre = torch.randint(2, size - 2, (n, 2, 1, 1)).float()
    grid = torch.stack(torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij"))
    target = (((grid - centre) ** 2).sum(dim=1) <= 4).float()
    return (target + 0.3 * torch.randn(n, size, size)).unsqueeze(1), target


model = SegNet()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for it in range(20):
    image, target = blobs(8)
    logits, area = model(image)
    losses = {
        "bce": F.binary_cross_entropy_with_logits(logits, target),
        "dice": dice_loss(logits, target),
        "area": F.mse_loss(area, target.mean(dim=(1, 2))),
    }
    optimizer.zero_grad()
    names = list(losses)
    for name in names:
        losses[name].backward(retain_graph=name != names[-1])
    optimizer.step()
    if it % 5 == 0:
        print(it, " ".join(f"{k} {v.item():.4f}" for k, v in losses.items()))
