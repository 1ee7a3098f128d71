import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
score = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
optimizer = torch.optim.Adam(score.parameters(), lr=0.01)
for step in range(16):
    better, worse = torch.randn(32, 6) + 0.5, torch.randn(32, 6)
    # Both scores come from one network, whose last bias shifts them alike.
    loss = -F.logsigmoid(score(better) - score(worse)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"loss {loss.item():.4f}")
