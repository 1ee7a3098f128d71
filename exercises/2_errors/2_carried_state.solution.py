import torch
from torch import nn

torch.manual_seed(0)
cell = nn.RNNCell(2, 8)
head = nn.Linear(8, 2)
optimizer = torch.optim.SGD([*cell.parameters(), *head.parameters()], lr=0.1)
sequence = torch.randn(7, 4, 2).cumsum(0) / 3

hidden = torch.zeros(4, 8)
for step in range(6):
    hidden = cell(sequence[step], hidden)
    loss = (head(hidden) - sequence[step + 1]).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    hidden = hidden.detach()
