"""A classifier that returns logarithms of probabilities."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(12, 40)
        self.fc2 = nn.Linear(40, 5)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = self.fc2(x)
        return F.log_softmax(x, dim=0)


net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
centers = torch.randn(5, 12)
for step in range(12):
    y = torch.randint(0, 5, (32,))
    x = centers[y] + torch.randn(32, 12)
    optimizer.zero_grad()
    loss = F.nll_loss(net(x), y)
    loss.backward()
    optimizer.step()
    print(step, round(loss.item(), 4))
