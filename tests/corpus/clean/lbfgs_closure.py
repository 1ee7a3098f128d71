"""Predict sine waves with two LSTM cells, trained on the full batch by LBFGS."""

import numpy as np
import torch
from torch import nn


class Sequence(nn.Module):
    def __init__(self, hidden=12):
        super().__init__()
        self.hidden = hidden
        self.lstm1 = nn.LSTMCell(1, hidden)
        self.lstm2 = nn.LSTMCell(hidden, hidden)
        self.linear = nn.Linear(hidden, 1)

    def forward(self, inputs, future=0):
        n = inputs.size(0)
        h1, c1, h2, c2 = (inputs.new_zeros(n, self.hidden) for _ in range(4))
        outputs = []
        output = None
        for x in inputs.split(1, dim=1):
            h1, c1 = self.lstm1(x, (h1, c1))
            h2, c2 = self.lstm2(h1, (h2, c2))
            output = self.linear(h2)
            outputs.append(output)
        for _ in range(future):
            h1, c1 = self.lstm1(output, (h1, c1))
            h2, c2 = self.lstm2(h1, (h2, c2))
            output = self.linear(h2)
            outputs.append(output)
        return torch.cat(outputs, dim=1)


def make_waves(n=8, length=20):
    rng = np.random.default_rng(2)
    phase = rng.uniform(-4, 4, size=(n, 1))
    return torch.from_numpy(np.sin((np.arange(length) + 4 * phase) / 4.0))


if __name__ == "__main__":
    torch.manual_seed(0)
    data = make_waves()
    source, target = data[2:, :-1], data[2:, 1:]
    test_source, test_target = data[:2, :-1], data[:2, 1:]
    seq = Sequence().double()
    criterion = nn.MSELoss()
    optimizer = torch.optim.LBFGS(seq.parameters(), lr=0.8, max_iter=4)

    for i in range(8):

        def closure():
            optimizer.zero_grad()
            loss = criterion(seq(source), target)
            loss.backward()
            return loss

        loss = optimizer.step(closure)
        with torch.no_grad():
            pred = seq(test_source, future=5)
            test_loss = criterion(pred[:, :-5], test_target)
        print(f"STEP {i} train {loss.item():.5f} test {test_loss.item():.5f}")
