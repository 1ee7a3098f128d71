"""Hooks that return what they compute, that write in place, or that only look."""

import torch
from torch import nn

torch.manual_seed(0)
norms, kept = [], {}


def scaled(grad):
    grad = grad * 0.5
    return grad


def sometimes(grad):
    if grad.norm() > 1:
        grad = grad / grad.norm()
        return grad


def in_place(grad):
    grad = grad.mul_(0.5)


def looks(grad):
    grad = grad.detach().flatten()
    norms.append(grad.norm().item())


def through_another(grad):
    half = grad * 0.5
    return half


def clamped(grad):
    grad = torch.clamp(grad, -1, 1)
    total = grad.sum()
    norms.append(total.item())


class Probe:
    def __init__(self, name):
        self.name = name

    def keep(self, module, inputs, output):
        output = output.detach()
        kept[self.name] = output

    def note(self, tensor):
        norms.append(tensor.norm().item())
        return tensor

    def passes(self, module, inputs, output):
        output = self.note(output)


model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
probe = Probe("hidden")
model[0].register_forward_hook(probe.keep)
model[1].register_forward_hook(probe.passes)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for step in range(4):
    x = torch.randn(16, 4)
    hidden = model[1](model[0](x))
    for hook in (scaled, sometimes, in_place, looks, through_another, clamped):
        hidden.register_hook(hook)
    hidden.register_hook(lambda grad: grad * 2)
    loss = (model[2](hidden) - x.sum(1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, loss.item(), len(norms), kept["hidden"].shape)
