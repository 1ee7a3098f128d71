"""Meta-gradients of several tasks, averaged by hand before the step."""

import torch
from torch import nn

torch.manual_seed(0)


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(3, 8)
        self.pooler = nn.Linear(8, 8)
        self.head = nn.Linear(8, 1)

    def forward(self, x, pooled=False):
        h = self.body(x).tanh()
        if pooled:
            h = self.pooler(h).tanh()
        return self.head(h)


model = Backbone()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
tasks = 4
for round in range(3):
    optimizer.zero_grad()
    for task in range(tasks):
        x = torch.randn(16, 3)
        loss = (model(x) - x.sum(1, keepdim=True) * task).square().mean()
        loss.backward()
    for p in model.parameters():
        p.grad.data.mul_(1 / tasks)
    optimizer.step()
    print(round, loss.item())
