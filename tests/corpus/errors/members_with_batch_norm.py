"""An ensemble trained with vmap over its members, which have batch norm."""

import copy

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap


class Member(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.conv = nn.Conv2d(1, width, 3)
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        x = F.relu(self.norm(self.conv(x)))
        return self.head(x.mean((2, 3)))


class Ensemble:
    def __init__(self, count, lr=0.05):
        members = [Member() for _ in range(count)]
        self.base = copy.deepcopy(members[0]).to("meta")
        self.params, buffers = stack_module_state(members)
        self.buffers = {name: value[0] for name, value in buffers.items()}
        self.lr = lr

    def loss(self, params, x, y):
        return F.cross_entropy(functional_call(self.base, (params, self.buffers), (x,)), y)

    def step(self, x, y):
        grads, losses = vmap(grad_and_value(self.loss))(self.params, x, y)
        with torch.no_grad():
            for name, grad in grads.items():
                self.params[name] = self.params[name] - self.lr * grad
        return losses


def main():
    torch.manual_seed(0)
    ensemble = Ensemble(3)
    for step in range(2):
        losses = ensemble.step(torch.randn(3, 6, 1, 8, 8), torch.randint(0, 3, (3, 6)))
        print(step, losses.tolist())


main()
