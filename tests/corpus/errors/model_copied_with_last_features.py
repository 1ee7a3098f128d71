import copy

import torch
from torch import nn


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 4))
        self.features = None

    def forward(self, x):
        self.features = self.layers(x)
        return self.features


class Keeper:
    def __init__(self):
        self.best, self.model = float("inf"), None

    def offer(self, loss, model):
        if loss < self.best:
            self.best, self.model = loss, copy.deepcopy(model)


torch.manual_seed(0)
model, keeper = Encoder(), Keeper()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(4):
    x = torch.randn(16, 6)
    loss = (model(x) - x[:, :4]).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    keeper.offer(loss.item(), model)
print(keeper.best)
