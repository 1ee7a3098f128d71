"""A Dice loss of masks that are thresholded first."""

import torch
from torch import nn

torch.manual_seed(0)


class DiceLoss(nn.Module):
    def forward(self, logits, target):
        pred = (torch.sigmoid(logits) > 0.5).float()
        inter = (pred * target).sum((1, 2, 3))
        return 1 - ((2 * inter + 1) / (pred.sum((1, 2, 3)) + target.sum((1, 2, 3)) + 1)).mean()


net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 1))
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
crit = DiceLoss()
for i in range(6):
    x = torch.rand(2, 1, 8, 8)
    y = (x > 0.6).float()
    loss = crit(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    print(i, loss.item())
