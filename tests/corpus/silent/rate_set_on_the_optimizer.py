"""A warm-up and cosine schedule by hand, whose rate goes to an attribute that SGD never reads."""

import math

import torch
import torch.nn.functional as F
from torch import nn


def adjust_rate(optimizer, epoch, epochs, base):
    rate = base * 0.5 * (1 + math.cos(math.pi * epoch / epochs))
    optimizer.lr = rate
    return rate


def main(epochs=6):
    torch.manual_seed(0)
    x = torch.randn(64, 8)
    y = x[:, :3].argmax(1)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    for epoch in range(epochs):
        rate = adjust_rate(optimizer, epoch, epochs, 0.2)
        for inputs, labels in zip(x.split(16), y.split(16)):
            loss = F.cross_entropy(model(inputs), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(epoch, rate, loss.item())


main()
