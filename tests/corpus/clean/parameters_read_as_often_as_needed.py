"""Clipping of lists, of generators made anew, and of parts that have no parameter at all."""

import torch
from torch import nn

torch.manual_seed(0)
body, activation, head = nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 1)
model = nn.Sequential(body, activation, head)
kept = list(model.parameters())
optimizer = torch.optim.Adam(kept, lr=1e-2)


def frozen(module):
    return (each for each in module.parameters() if not each.requires_grad)


for step in range(12):
    x = torch.randn(16, 6)
    loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    # Each part has a limit of its own, and one of them nothing to clip.
    for part in (body, activation, head):
        nn.utils.clip_grad_norm_(part.parameters(), 5.0)
    nn.utils.clip_grad_norm_(filter(lambda each: each.requires_grad, model.parameters()), 1.0)
    nn.utils.clip_grad_norm_(frozen(model), 1.0)
    nn.utils.clip_grad_norm_(kept, 1.0)
    once = iter(kept)
    nn.utils.clip_grad_norm_(once, 1.0)
    optimizer.step()
