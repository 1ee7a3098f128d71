"""Train and validate in turn; keep averages and the best weights."""

import copy

import torch
import torch.nn.functional as F
from torch import nn


class AverageMeter:
    def __init__(self):
        self.sum, self.count = 0.0, 0

    def update(self, value, n=1):
        self.sum += value * n
        self.count += n

    @property
    def avg(self):
        return self.sum / max(self.count, 1)


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(5, 24), nn.ReLU(), nn.Dropout(0.1), nn.Linear(24, 1))

    def forward(self, x):
        return self.net(x).squeeze(-1)


def make_split(n):
    x = torch.randn(n, 5)
    return x, torch.sin(x[:, 0]) + 0.5 * x[:, 1] * x[:, 2]


def train_epoch(model, optimizer, x, y, history):
    model.train()
    meter = AverageMeter()
    total_loss = torch.zeros(())
    for idx in torch.randperm(len(x)).split(16):
        loss = F.mse_loss(model(x[idx]), y[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        meter.update(loss.item(), len(idx))
        total_loss += loss.detach()
        history.append(loss.detach())
    return meter.avg, total_loss


@torch.inference_mode()
def validate(model, x, y):
    model.eval()
    meter = AverageMeter()
    for xb, yb in zip(x.split(16), y.split(16), strict=True):
        meter.update(F.mse_loss(model(xb), yb).item(), len(xb))
    return meter.avg


def main():
    torch.manual_seed(14)
    train_data, val_data = make_split(96), make_split(32)
    model = Regressor()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    best, best_state, history = float("inf"), None, []
    for epoch in range(5):
        train_loss, total = train_epoch(model, optimizer, *train_data, history)
        val_loss = validate(model, *val_data)
        print(f"{epoch} train {train_loss:.4f} sum {total:.4f} val {val_loss:.4f}")
        if val_loss < best:
            best, best_state = val_loss, copy.deepcopy(model.state_dict())
    model.load_state_dict(best_state)
    print(f"best {validate(model, *val_data):.4f} mean {torch.stack(history).mean().item():.4f}")


if __name__ == "__main__":
    main()
