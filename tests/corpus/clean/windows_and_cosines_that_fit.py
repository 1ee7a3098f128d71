"""Accumulation whose rest is stepped or was never computed, and cosines that are meant to return."""

import math

import torch
import torch.nn.functional as F
from torch import nn

EPOCHS, BATCHES, WINDOW = 4, 7, 3


def batches(count=BATCHES):
    for _ in range(count):
        yield torch.randn(8, 6), torch.randint(0, 2, (8,))


def rest_is_stepped(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=EPOCHS)
    for _ in range(EPOCHS):
        optimizer.zero_grad()
        for at, (x, y) in enumerate(batches()):
            (F.cross_entropy(model(x), y) / WINDOW).backward()
            if (at + 1) % WINDOW == 0 or at + 1 == BATCHES:
                optimizer.step()
                optimizer.zero_grad()
        schedule.step()
    return schedule.get_last_lr()[0]


def rest_is_dropped(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    windows = BATCHES // WINDOW
    # Down in one epoch, and up in the next.
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=windows)
    for _ in range(EPOCHS):
        optimizer.zero_grad()
        stream = batches()
        for _ in range(windows):
            for _ in range(WINDOW):
                x, y = next(stream)
                (F.cross_entropy(model(x), y) / WINDOW).backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
    return schedule.get_last_lr()[0]


def bad_batches_are_left_out(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(EPOCHS):
        for at, (x, y) in enumerate(batches(6)):
            loss = F.cross_entropy(model(x), y)
            (loss / 2).backward()
            if at == 2 * (epoch % 3):
                # As if the loss had not been finite.
                optimizer.zero_grad()
                continue
            if at % 2:
                optimizer.step()
                optimizer.zero_grad()
    return loss.item()


def main():
    torch.manual_seed(0)
    for train in (rest_is_stepped, rest_is_dropped, bad_batches_are_left_out):
        model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 2))
        value = train(model)
        assert math.isfinite(value)
        print(train.__name__, f"{value:.4f}")


main()
