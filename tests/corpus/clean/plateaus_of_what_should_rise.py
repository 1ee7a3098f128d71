"""Rates that are lowered when a score stops rising: an accuracy, a loss with its sign turned, a share
of a first loss, what a function says of it, and a loss where it is to fall."""

import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

torch.manual_seed(22)
x, y = torch.randn(96, 4), torch.randint(0, 3, (96,))
criterion = nn.CrossEntropyLoss()


def gained(loss, first):
    return first - loss


def trained(score_of, mode="max"):
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    plateau = ReduceLROnPlateau(optimizer, mode=mode, patience=1)
    first = None
    for epoch in range(8):
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        first = loss.item() if first is None else first
        if score_of == "accuracy":
            loss = (model(x).argmax(1) == y).float().mean()
            plateau.step(loss.item())
        elif score_of == "turned":
            score = -criterion(model(x), y).item()
            plateau.step(score)
        elif score_of == "share":
            share = 1 - loss.item() / first
            plateau.step(share)
        elif score_of == "gained":
            plateau.step(gained(loss.item(), first))
        else:
            plateau.step(loss.item())
    print(score_of, optimizer.param_groups[0]["lr"])


for each in ("accuracy", "turned", "share", "gained"):
    trained(each)
trained("loss", mode="min")

# What is maximised is to rise, whatever it is called.
net = nn.Linear(4, 3)
optimizer = torch.optim.SGD(net.parameters(), lr=0.01, maximize=True)
plateau = ReduceLROnPlateau(optimizer, mode="max", patience=2)
for epoch in range(8):
    loss = criterion(net(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    plateau.step(loss.item())
print("maximised", optimizer.param_groups[0]["lr"])
