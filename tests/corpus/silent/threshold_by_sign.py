"""Tiny objects: a difference map, cut off at a learnable threshold, guides the features."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class SRTOD(nn.Module):
    def __init__(self, ch=8):
        super().__init__()
        self.backbone = nn.Conv2d(3, ch, 3, stride=2, padding=1)
        self.reconstruct = nn.ConvTranspose2d(ch, 3, 4, stride=2, padding=1)
        self.fuse = nn.Conv2d(ch, ch, 3, padding=1)
        self.head = nn.Linear(ch, 2)
        self.learnable_thresh = nn.Parameter(torch.tensor(0.0156862))

    def forward(self, img):
        p2 = torch.relu(self.backbone(img))
        r_img = torch.sigmoid(self.reconstruct(p2))
        difference_map = torch.sum(torch.abs(r_img - img), dim=1, keepdim=True) / 3
        difference_map_mask = (torch.sign(difference_map - self.learnable_thresh) + 1) * 0.5
        guide = F.avg_pool2d(difference_map_mask, 2)
        feat = torch.relu(self.fuse(p2)) * (1 + guide)
        return self.head(feat.mean((2, 3))), r_img


def main():
    torch.manual_seed(7)
    detector = SRTOD()
    optimizer = torch.optim.SGD(detector.parameters(), lr=0.05, momentum=0.9)
    for it in range(12):
        img = torch.rand(8, 3, 16, 16)
        labels = torch.randint(0, 2, (8,))
        img[labels == 1, :, 4:6, 4:6] += 1.0
        logits, r_img = detector(img)
        loss = F.cross_entropy(logits, labels) + F.mse_loss(r_img, img)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(it, f"{loss.item():.4f}", detector.learnable_thresh.item())


main()
