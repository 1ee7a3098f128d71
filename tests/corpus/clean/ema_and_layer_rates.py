"""Fine-tuning with layer-wise learning rates and an averaged copy of the weights."""

import copy

import torch
import torch.nn.functional as F
from torch import nn


class ModelEma:
    def __init__(self, model, decay=0.95):
        self.module = copy.deepcopy(model).eval()
        self.decay = decay

    @torch.no_grad()
    def update(self, model):
        averaged = self.module.state_dict()
        for name, value in model.state_dict().items():
            if value.dtype.is_floating_point:
                averaged[name].mul_(self.decay).add_(value, alpha=1 - self.decay)
            else:
                averaged[name].copy_(value)


class Net(nn.Module):
    def __init__(self, width=20):
        super().__init__()
        self.stem = nn.Sequential(nn.Linear(8, width), nn.BatchNorm1d(width), nn.ReLU())
        self.body = nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU())
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        return self.head(self.body(self.stem(x)))


def layer_groups(model, lr, factor):
    stages = [model.head, model.body, model.stem]
    return [
        {"params": stage.parameters(), "lr": lr * factor**i, "name": f"stage{i}"}
        for i, stage in enumerate(stages)
    ]


def main():
    torch.manual_seed(12)
    teacher = torch.randn(8, 3)
    model = Net()
    ema = ModelEma(model)
    optimizer = torch.optim.AdamW(layer_groups(model, lr=1e-2, factor=0.3), weight_decay=0.01)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=24)

    for it in range(24):
        x = torch.randn(32, 8)
        y = (x @ teacher).argmax(1)
        model.train()
        loss = F.cross_entropy(model(x), y, label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        ema.update(model)
        if it % 6 == 5:
            with torch.no_grad():
                hits = (ema.module(x).argmax(1) == y).float().mean().item()
            rates = [round(g["lr"], 5) for g in optimizer.param_groups]
            print(f"it {it} loss {loss.item():.4f} ema accuracy {hits:.3f} rates {rates}")


if __name__ == "__main__":
    main()
