"""Monte Carlo dropout of a net that no train() and no eval() is ever called on."""

import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 1))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
x, x_test = torch.randn(64, 4), torch.randn(16, 4)
y = x.sum(1, keepdim=True)
for epoch in range(10):
    loss = (net(x) - y).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
with torch.no_grad():
    preds = torch.stack([net(x_test) for _ in range(20)])
print(f"{preds.mean():.4f} {preds.std(0).mean():.4f}")
out = torch.zeros(20, 16, 1)
with torch.no_grad():
    for i in range(20):
        out[i] = net(x_test)
print(f"{out.std(0).mean():.4f}")
