import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
for step in range(6):
    # One picture has many values for each channel.
    x = torch.randn(1, 1, 8, 8)
    loss = nn.functional.cross_entropy(net(x), torch.tensor([step % 2]))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
head = nn.BatchNorm1d(4)
try:
    head(torch.randn(1, 4))
except ValueError:
    head.eval()
with torch.no_grad():
    print(head(torch.ones(1, 4)).shape, f"{loss.item():.4f}")
