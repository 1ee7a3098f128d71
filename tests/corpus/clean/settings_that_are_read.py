"""Rates kept on optimizers and in groups that something reads, and names that mean other things."""

import torch
from torch import nn


class Warm(torch.optim.SGD):
    """Has a rate of its own, from which it makes that of its groups."""

    def __init__(self, params, lr, warm):
        super().__init__(params, lr=lr)
        self.lr, self.warm, self.count = lr, warm, 0

    def step(self, closure=None):
        self.count += 1
        for group in self.param_groups:
            group["lr"] = self.lr * min(1.0, self.count / self.warm)
        return super().step(closure)


class Config:
    lr, weight_decay = 0.02, 0.1


torch.manual_seed(0)
config = Config()
body, head = nn.Linear(6, 12), nn.Linear(12, 1)
groups = [
    {"params": body.parameters(), "lr_scale": 0.1, "name": "body", "learning_rate": 0.002},
    {"params": head.parameters(), "lr_scale": 1.0, "name": "head", "learning_rate": 0.02},
]
one = torch.optim.AdamW(groups, lr=config.lr, weight_decay=0.0)
for group in one.param_groups:
    group["lr"] = group["learning_rate"]
tail = nn.Linear(12, 1)
two = Warm(tail.parameters(), 0.01, 4)
three = torch.optim.SGD(nn.ParameterList([nn.Parameter(torch.zeros(1))]), lr=0.1, momentum=0.8)
shift = three.param_groups[0]["params"][0]
three.momentum = 0.8
cycle = torch.optim.lr_scheduler.OneCycleLR(three, 0.05, total_steps=13)
for step in range(12):
    config.lr = 0.02 * 0.9**step
    for group in one.param_groups:
        group["lr"] = config.lr * group["lr_scale"]
    # A note of what the group has, and one of what it had at first.
    three.lr = three.param_groups[0]["lr"]
    x = torch.randn(16, 6)
    hidden = body(x).tanh()
    out = head(hidden) + tail(hidden.detach()) + shift
    loss = (out - x.sum(1, keepdim=True)).square().mean()
    for each in (one, two, three):
        each.zero_grad()
    loss.backward()
    for each in (one, two, three):
        each.step()
    cycle.step()
