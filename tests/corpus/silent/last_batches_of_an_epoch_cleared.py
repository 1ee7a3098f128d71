"""Accumulation: the last, partial window of an epoch is thrown away by the next epoch's zero_grad."""
import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset


class Toy(Dataset):
    def __init__(self, n):
        g = torch.Generator().manual_seed(1)
        self.x = torch.randn(n, 10, generator=g)
        self.y = (self.x[:, 0] > 0).long()

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


class Trainer:
    def __init__(self, model, loader, accumulate, lr):
        self.model, self.loader, self.accumulate = model, loader, accumulate
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=lr)

    def train_epoch(self, epoch):
        self.model.train()
        self.optimizer.zero_grad()
        running = 0.0
        for i, (x, y) in enumerate(self.loader):
            loss = F.cross_entropy(self.model(x), y)
            (loss / self.accumulate).backward()
            running += loss.item()
            if (i + 1) % self.accumulate == 0:
                self.optimizer.step()
                self.optimizer.zero_grad()
        print(epoch, running / len(self.loader))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--accumulate", type=int, default=4)
    p.add_argument("--epochs", type=int, default=3)
    a = p.parse_args()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 2))
    loader = DataLoader(Toy(56), batch_size=8, shuffle=True)
    tr = Trainer(model, loader, a.accumulate, 1e-2)
    for e in range(a.epochs):
        tr.train_epoch(e)


if __name__ == "__main__":
    main()
