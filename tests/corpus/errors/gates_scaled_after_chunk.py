"""Minimal gated recurrent cell: the stacked gates are scaled in place after they were split."""

import torch
from torch import nn


class GatedCell(nn.Module):
    def __init__(self, d_in=5, d=8):
        super().__init__()
        self.inputs = nn.Linear(d_in, 3 * d)
        self.hidden = nn.Linear(d, 3 * d, bias=False)
        self.temperature = 0.5

    def forward(self, x, h):
        stacked = self.inputs(x) + self.hidden(h)
        reset, update, new = stacked.chunk(3, dim=1)
        stacked.mul_(self.temperature)
        candidate = torch.tanh(new * torch.sigmoid(reset))
        keep = torch.sigmoid(update)
        return keep * h + (1 - keep) * candidate


def sequences(n, length=6):
    x = torch.randn(n, length, 5)
    return x, x[:, :, 0].cumsum(1)[:, -1:]


torch.manual_seed(3)
cell, readout = GatedCell(), nn.Linear(8, 1)
optimizer = torch.optim.Adam([*cell.parameters(), *readout.parameters()], lr=3e-3)
for step in range(3):
    x, y = sequences(16)
    h = torch.zeros(16, 8)
    for t in range(x.shape[1]):
        h = cell(x[:, t], h)
    loss = (readout(h) - y).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"{step} {loss.item():.4f}")
