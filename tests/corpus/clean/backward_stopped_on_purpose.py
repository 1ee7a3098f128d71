"""Takes the gradient of a hidden layer and leaves the backward there."""

import torch
from torch import nn
from torch.nn import functional as F


class Done(Exception):
    pass


class Taken:
    def __init__(self, layer):
        self.grad = None
        self.handle = layer.register_full_backward_hook(self.take)

    def take(self, module, grad_input, grad_output):
        self.grad = grad_output[0]
        raise Done


torch.manual_seed(0)
net = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))
for step in range(3):
    taken = Taken(net[2])
    try:
        net(torch.randn(4, 5)).sum().backward()
    except Done:
        print(taken.grad.shape)
    finally:
        taken.handle.remove()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for step in range(8):
    loss = F.cross_entropy(net(torch.randn(4, 5)), torch.randint(3, (4,)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
