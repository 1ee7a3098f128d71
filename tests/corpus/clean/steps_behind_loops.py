"""Steps that stand behind loops on purpose: of parts whose gradients are added up, and of a search
that clears what it has tried."""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
for step in range(6):
    x = torch.randn(32, 4)
    optimizer.zero_grad()
    for part in x.split(8):
        loss = nn.functional.mse_loss(net(part), part.sum(1, keepdim=True)) / 4
        loss.backward()
    optimizer.step()

# The state of an optimizer that has to exist before it is loaded.
other = torch.optim.Adam(net.parameters(), lr=0.01)
nn.functional.mse_loss(net(x), x.sum(1, keepdim=True)).backward()
other.step()
other.zero_grad()

hardest = None
for _ in range(8):
    x = torch.randn(16, 4)
    loss = nn.functional.mse_loss(net(x), x.sum(1, keepdim=True))
    if hardest is None or loss.item() > hardest[0]:
        hardest = (loss.item(), x)
x = hardest[1]
other.zero_grad()
nn.functional.mse_loss(net(x), x.sum(1, keepdim=True)).backward()
other.step()
print(f"{hardest[0]:.4f}")
