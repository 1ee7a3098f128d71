"""An inner loop unrolled over dictionaries of fast weights."""

import torch
from torch import nn
from torch.func import functional_call

torch.manual_seed(0)
net = nn.Linear(4, 1)
meta = torch.optim.Adam(net.parameters(), lr=0.01)
for step in range(8):
    losses = []
    for task in range(3):
        fast = dict(net.named_parameters())
        for _ in range(6):
            x = torch.randn(8, 4)
            loss = (functional_call(net, fast, (x,)) - x.sum(1, keepdim=True)).square().mean()
            grads = torch.autograd.grad(loss, tuple(fast.values()), create_graph=True)
            fast = {k: p - 0.1 * g for (k, p), g in zip(fast.items(), grads)}
        losses.append((functional_call(net, fast, (x,)) - x.sum(1, keepdim=True)).square().mean())
    meta.zero_grad()
    sum(losses).backward()
    meta.step()
    print(f"{sum(losses).item():.4f}")
