"""Flower classes: the head first, then all of it with a smaller learning rate."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class FlowerNet(nn.Module):
    def __init__(self, classes=5):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2))
        self.head = nn.Linear(32, classes)

    def forward(self, x):
        return self.head(self.backbone(x).flatten(1))


def make_optimizer(net, lr):
    return torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=lr, momentum=0.9)


def batches(n=3):
    for _ in range(n):
        labels = torch.randint(0, 5, (16,))
        yield torch.randn(16, 3, 8, 8) + labels.view(-1, 1, 1, 1) * 0.3, labels


def fit(net, epochs=14, thaw=4):
    net.backbone.requires_grad_(False)
    optimizer = make_optimizer(net, 0.05)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.8)
    for epoch in range(epochs):
        if epoch == thaw:
            net.backbone.requires_grad_(True)
            optimizer = make_optimizer(net, 0.02)
        for images, labels in batches():
            optimizer.zero_grad()
            loss = F.cross_entropy(net(images), labels)
            loss.backward()
            optimizer.step()
        scheduler.step()
        print(f"{epoch:2d} loss {loss.item():.4f} lr {scheduler.get_last_lr()[0]:.5f}")


torch.manual_seed(22)
fit(FlowerNet())
