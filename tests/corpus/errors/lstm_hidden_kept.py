"""Stateful LSTM forecaster: the state is carried from window to window."""

import torch
import torch.nn as nn


class Forecaster(nn.Module):
    def __init__(self, hidden_size=16):
        super().__init__()
        self.hidden_size = hidden_size
        self.lstm = nn.LSTM(1, hidden_size)
        self.linear = nn.Linear(hidden_size, 1)
        self.hidden = self.init_hidden()

    def init_hidden(self):
        return (torch.zeros(1, 1, self.hidden_size), torch.zeros(1, 1, self.hidden_size))

    def forward(self, window):
        out, self.hidden = self.lstm(window.view(-1, 1, 1), self.hidden)
        return self.linear(out[-1]).squeeze()


def make_windows(length, size):
    t = torch.arange(length, dtype=torch.float32)
    series = torch.sin(0.2 * t) + 0.05 * torch.randn(length)
    return [(series[i : i + size], series[i + size]) for i in range(length - size)]


def fit(model, windows, epochs):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    loss_fn = nn.MSELoss()
    for epoch in range(epochs):
        running = 0.0
        for window, label in windows:
            optimizer.zero_grad()
            prediction = model(window)
            loss = loss_fn(prediction, label)
            loss.backward()
            optimizer.step()
            running += loss.item()
        print(f"epoch {epoch}: {running / len(windows):.5f}")


if __name__ == "__main__":
    torch.manual_seed(10)
    fit(Forecaster(), make_windows(40, 8), epochs=2)
