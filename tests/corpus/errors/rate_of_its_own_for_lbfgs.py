"""A decay rate and the network around it, each a group for an L-BFGS that takes one."""

import torch
from torch import nn

torch.manual_seed(0)


class Cooling(nn.Module):
    def __init__(self):
        super().__init__()
        self.curve = nn.Sequential(nn.Linear(1, 12), nn.Tanh(), nn.Linear(12, 1))
        self.rate = nn.Parameter(torch.tensor(0.1))

    def forward(self, times):
        return self.curve(times) * torch.exp(-self.rate * times)


def groups_of(model):
    return [{"params": model.curve.parameters()}, {"params": [model.rate], "lr": 0.05}]


times = torch.linspace(0, 4, 32).unsqueeze(1)
measured = 3 * torch.exp(-0.7 * times)
model = Cooling()
optimizer = torch.optim.LBFGS(groups_of(model), lr=0.5, max_iter=8)


def closure():
    optimizer.zero_grad()
    loss = (model(times) - measured).square().mean()
    loss.backward()
    return loss


for epoch in range(5):
    print(epoch, float(optimizer.step(closure)))
