"""Siamese tracker: correlate a template with a search patch, then classify every cell."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        return self.conv2(torch.relu(self.conv1(x)))


class ModelBuilder(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = Backbone()
        self.down = nn.Conv2d(8, 4, 1)
        self.car_head = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1))

    def forward(self, template, search):
        z = self.down(self.backbone(template))
        x = self.down(self.backbone(search))
        kernel = z.mean(dim=(2, 3), keepdim=True)
        return self.car_head(x * kernel).squeeze(1)


def build_opt(model, base_lr):
    trainable_params = [
        {"params": model.backbone.parameters(), "lr": base_lr * 0.1},
        {"params": model.car_head.parameters(), "lr": base_lr},
    ]
    return torch.optim.SGD(trainable_params, lr=base_lr, momentum=0.9, weight_decay=1e-4)


def sample(batch=8, size=8):
    search = 0.1 * torch.randn(batch, 1, size, size)
    row, col = torch.randint(1, size - 1, (2, batch))
    target = torch.zeros(batch, size, size)
    for i in range(batch):
        search[i, 0, row[i] - 1 : row[i] + 2, col[i] - 1 : col[i] + 2] += 1.0
        target[i, row[i], col[i]] = 1.0
    return torch.ones(batch, 1, 3, 3), search, target


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--iters", type=int, default=20)
    parser.add_argument("--lr", type=float, default=0.05)
    cfg = parser.parse_args()
    torch.manual_seed(11)

    model = ModelBuilder().train()
    optimizer = build_opt(model, cfg.lr)
    for it in range(cfg.iters):
        template, search, target = sample()
        score = model(template, search)
        loss = F.binary_cross_entropy_with_logits(score, target, pos_weight=torch.tensor(20.0))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if it % 5 == 0:
            print(f"iter {it:3d} loss {loss.item():.4f}")


if __name__ == "__main__":
    main()
