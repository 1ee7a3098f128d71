"""Two tasks in turn, with elastic weight consolidation between them."""

import torch
import torch.nn.functional as F
from torch import nn


def batches(n, flip):
    for _ in range(n):
        x = torch.randn(16, 5)
        yield x, ((x[:, 1] if flip else x[:, 0]) > 0).long()


def fisher_of(net, data):
    found = {name: torch.zeros_like(p) for name, p in net.named_parameters()}
    for x, y in data:
        net.zero_grad()
        F.nll_loss(F.log_softmax(net(x), dim=1), y).backward()
        for name, p in net.named_parameters():
            found[name] += p.grad.square() / 8
    net.zero_grad()
    return found


def penalty(net, fisher, old):
    return sum((fisher[n] * (p - old[n]).square()).sum() for n, p in net.named_parameters())


torch.manual_seed(0)
net = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for x, y in batches(16, False):
    optimizer.zero_grad()
    F.cross_entropy(net(x), y).backward()
    optimizer.step()
fisher = fisher_of(net, batches(8, False))
old = {name: p.detach().clone() for name, p in net.named_parameters()}
for x, y in batches(16, True):
    optimizer.zero_grad()
    loss = F.cross_entropy(net(x), y) + 50 * penalty(net, fisher, old)
    loss.backward()
    optimizer.step()
print(f"loss {loss.item():.3f}")
