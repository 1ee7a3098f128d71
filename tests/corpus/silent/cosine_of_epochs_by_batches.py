"""Cosine schedule made for epochs (T_max=epochs) but stepped once a batch."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

CFG = {"epochs": 3, "batch": 8, "lr": 0.1, "wd": 5e-4}


class ResMLP(nn.Module):
    def __init__(self, d=16, classes=4):
        super().__init__()
        self.inp = nn.Linear(10, d)
        self.blocks = nn.ModuleList([nn.Sequential(nn.LayerNorm(d), nn.Linear(d, d), nn.GELU()) for _ in range(2)])
        self.out = nn.Linear(d, classes)

    def forward(self, x):
        h = self.inp(x)
        for b in self.blocks:
            h = h + b(h)
        return self.out(h)


def build(cfg):
    model = ResMLP()
    optimizer = torch.optim.SGD(model.parameters(), lr=cfg["lr"], momentum=0.9, weight_decay=cfg["wd"])
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=cfg["epochs"])
    return model, optimizer, scheduler


def train_one_epoch(model, loader, optimizer, scheduler):
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        scheduler.step()
        total += loss.item()
    return total / len(loader)


def main():
    torch.manual_seed(0)
    model, optimizer, scheduler = build(CFG)
    data = TensorDataset(torch.randn(64, 10), torch.randint(0, 4, (64,)))
    loader = DataLoader(data, batch_size=CFG["batch"], shuffle=True)
    for epoch in range(CFG["epochs"]):
        loss = train_one_epoch(model, loader, optimizer, scheduler)
        print(epoch, f"{loss:.4f}", optimizer.param_groups[0]["lr"])


if __name__ == "__main__":
    main()
