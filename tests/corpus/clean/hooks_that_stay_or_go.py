"""Hooks that are added once, taken away again, put on what is new, or one for each stage."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
seen = {}


def keep(name):
    return lambda module, args, output: seen.update({name: output.detach()})


def add(tensor, hook):
    return tensor.register_hook(hook)


for name, module in model.named_modules():
    module.register_forward_hook(keep(name))
model[0].weight.register_hook(lambda grad: grad.clamp(-1, 1))


def once(module, args, output):
    handles.pop().remove()


handles = []
for step in range(20):
    x = torch.randn(16, 6)
    handles.append(model[2].register_forward_hook(once))
    handle = model[0].register_forward_hook(keep("again"))
    out = model(x)
    handle.remove()
    # On what this step has computed, and on a batch that is new.
    out.register_hook(lambda grad: grad.clamp(-1, 1))
    if step == 4:
        add(model[2].weight, lambda grad: 0.5 * grad)
    if step == 8:
        add(model[2].weight, lambda grad: grad + 0.0)
    if step == 12:
        add(model[2].weight, lambda grad: grad.clamp(-2, 2))
    # The part that is pruned grows, and what was pruned before stays so.
    if step % 6 == 5:
        mask = (model[0].weight.detach().abs() > 0.01 * step).float()
        model[0].weight.register_hook(lambda grad, mask=mask: grad * mask)
    loss = F.cross_entropy(out, x[:, :3].argmax(1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
