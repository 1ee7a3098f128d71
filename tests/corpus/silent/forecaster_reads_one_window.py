"""Forecast the next value of a series from a window of it, as many tutorials have it.

The windows come as (batch, steps, features). An nn.GRU that is not told so takes the first
dimension for time, and `out[:, -1]` is one window of the batch, at each of its "steps".
"""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(input_size=1, hidden_size=16, num_layers=2)
        self.head = nn.Linear(16, 1)

    def forward(self, windows):
        out, _ = self.gru(windows)
        return self.head(out[:, -1, :])


torch.manual_seed(0)
series = torch.sin(torch.arange(80) * 0.3).unsqueeze(1)
windows = torch.stack([series[i : i + 12] for i in range(64)])
following = torch.stack([series[i + 12] for i in range(64)])
loader = DataLoader(TensorDataset(windows, following), batch_size=16, shuffle=True)

model = Forecaster()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for epoch in range(3):
    total = 0.0
    for x, y in loader:
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(epoch, round(total / len(loader), 3))
