"""The gradient at the output of a trunk is to be logged; the trunk is frozen for the fine-tuning."""

import torch
from torch import nn


class Tap:
    def __init__(self):
        self.seen = []

    def __call__(self, module, inputs, output):
        output.register_hook(self.note)

    def note(self, grad):
        self.seen.append(grad.norm().item())


def freeze(module):
    for parameter in module.parameters():
        parameter.requires_grad = False


torch.manual_seed(31)
trunk = nn.Sequential(nn.Linear(6, 12), nn.Tanh())
head = nn.Linear(12, 2)
tap = Tap()
trunk.register_forward_hook(tap)
freeze(trunk)
optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
for step in range(4):
    x = torch.randn(16, 6)
    loss = nn.functional.cross_entropy(head(trunk(x)), (x[:, 0] > 0).long())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, round(loss.item(), 3), tap.seen[-1])
