"""Sequences that get longer with every step; a graph that grows on purpose."""

import torch
from torch import nn

torch.manual_seed(0)
cell, out = nn.RNNCell(2, 8), nn.Linear(8, 2)
opt = torch.optim.Adam([*cell.parameters(), *out.parameters()])
for n in range(1, 16):
    h, loss = torch.zeros(4, 8), torch.zeros(())
    for _ in range(n):
        h = cell(torch.randn(4, 2), h)
        loss = loss + out(h).pow(2).mean() / n
    opt.zero_grad()
    loss.backward()
    opt.step()
