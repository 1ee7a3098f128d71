"""A training whose losses are smoothed by NumPy once it is over."""

import numpy as np
import torch
from torch import nn

torch.manual_seed(0)


def fit(model, x, y, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    curve = []
    for _ in range(epochs):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        curve.append(loss)
    return curve


def smooth(curve, width=3):
    numbers = np.asarray(curve, dtype=float)
    return np.convolve(numbers, np.ones(width) / width, mode="valid")


x = torch.randn(32, 4)
print(smooth(fit(nn.Linear(4, 1), x, x.sum(1, keepdim=True), epochs=3)))
