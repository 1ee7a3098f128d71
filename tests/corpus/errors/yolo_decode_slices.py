"""One scale of a grid detector with box decoding inside the head."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class DetectHead(nn.Module):
    stride = 8.0

    def __init__(self, in_channels, num_classes, size):
        super().__init__()
        self.no = num_classes + 5
        self.conv = nn.Conv2d(in_channels, self.no, 1)
        ys, xs = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
        self.register_buffer("grid", torch.stack((xs, ys), dim=-1).float())
        self.register_buffer("anchor", torch.tensor([12.0, 20.0]))

    def forward(self, x):
        p = self.conv(x).permute(0, 2, 3, 1).contiguous()
        y = p.sigmoid()
        y[..., 0:2] = (y[..., 0:2] * 2.0 - 0.5 + self.grid) * self.stride
        y[..., 2:4] = (y[..., 2:4] * 2.0) ** 2 * self.anchor
        return y


class Detector(nn.Module):
    def __init__(self, num_classes=3, size=4):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(8, 16, 3, stride=4, padding=1),
            nn.SiLU(),
        )
        self.head = DetectHead(16, num_classes, size)

    def forward(self, images):
        return self.head(self.backbone(images))


def compute_loss(pred, boxes, labels, obj):
    box_loss = F.smooth_l1_loss(pred[..., :4], boxes)
    obj_loss = F.binary_cross_entropy(pred[..., 4], obj)
    cls_loss = F.binary_cross_entropy(pred[..., 5:], labels)
    return 0.05 * box_loss + obj_loss + 0.5 * cls_loss


def fake_batch(n, size=4, num_classes=3):
    images = torch.rand(n, 3, 32, 32)
    boxes = torch.rand(n, size, size, 4) * 32
    labels = F.one_hot(torch.randint(0, num_classes, (n, size, size)), num_classes).float()
    obj = (torch.rand(n, size, size) > 0.7).float()
    return images, boxes, labels, obj


def main():
    torch.manual_seed(42)
    model = Detector()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.937, nesterov=True)
    for epoch in range(2):
        for _ in range(3):
            images, boxes, labels, obj = fake_batch(4)
            pred = model(images)
            loss = compute_loss(pred, boxes, labels, obj)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch} loss {loss.item():.4f}")


main()
