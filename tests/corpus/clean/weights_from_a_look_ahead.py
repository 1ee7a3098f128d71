"""Right: a copy of the network looks one step ahead, and is dropped with the gradients it gets."""

import copy

import torch
from torch import nn
from torch.func import functional_call

torch.manual_seed(7)
net = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 3))
weigher = nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid())
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
meta_optimizer = torch.optim.Adam(weigher.parameters(), lr=1e-2)
criterion = nn.CrossEntropyLoss(reduction="none")
for _ in range(4):
    x, clean = torch.randn(24, 6), torch.randn(12, 6)
    y, labels = x[:, :3].argmax(1), clean[:, :3].argmax(1)

    ahead = copy.deepcopy(net)
    losses = criterion(ahead(x), y).view(-1, 1)
    weighted = (weigher(losses.detach()) * losses).mean()
    grads = torch.autograd.grad(weighted, ahead.parameters(), create_graph=True)
    fast = {n: p - 0.1 * g for (n, p), g in zip(ahead.named_parameters(), grads, strict=True)}
    meta_loss = criterion(functional_call(ahead, fast, (clean,)), labels).mean()
    meta_optimizer.zero_grad()
    meta_loss.backward()
    meta_optimizer.step()

    losses = criterion(net(x), y).view(-1, 1)
    loss = (weigher(losses.detach()).detach() * losses).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f} {meta_loss.item():.4f}")
