"""Forecast of a sine with a small convolution; the loss does not move."""

import torch
from torch import nn


def windows(n, length=16):
    start = torch.rand(n, 1) * 6
    t = start + 0.3 * torch.arange(length + 1)
    wave = torch.sin(t)
    return wave[:, None, :-1], wave[:, -1:]


class Forecast(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 6, 5)
        self.head = nn.Linear(6 * 12, 1)

    def forward(self, x):
        return self.head(torch.tanh(self.conv(x)).flatten(1))


def fit(model, config):
    optimizer = torch.optim.AdamW(model.parameters(), lr=config["lr"])
    criterion = nn.MSELoss()
    history = []
    for step in range(config["steps"]):
        x, y = windows(config["batch"])
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.zero_grad()
        optimizer.step()
        history.append(loss.item())
    return history


torch.manual_seed(0)
history = fit(Forecast(), {"lr": 1e-2, "steps": 20, "batch": 32})
print(f"first {sum(history[:5]) / 5:.3f} last {sum(history[-5:]) / 5:.3f}")
