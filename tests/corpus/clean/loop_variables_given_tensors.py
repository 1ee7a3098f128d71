"""Loops over parameters whose variable is given another tensor that is read, or that is meant."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

torch.manual_seed(0)


def adapted(model, x, y, lr):
    grads = torch.autograd.grad(F.mse_loss(model(x), y), list(model.parameters()), create_graph=True)
    fast = {}
    for (name, p), g in zip(model.named_parameters(), grads, strict=True):
        p = p - lr * g
        fast[name] = p
    return fast


def norm_of(model):
    total = torch.zeros(())
    for p in model.parameters():
        p = p.detach().flatten()
        total = total + p.dot(p)
    return total.sqrt()


model = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(6):
    support, query = torch.randn(10, 1), torch.randn(10, 1)
    fast = adapted(model, support, support.sin(), lr=0.1)
    loss = F.mse_loss(functional_call(model, fast, (query,)), query.sin())
    optimizer.zero_grad()
    loss.backward()
    for p in model.parameters():
        p = p.grad
        p.clamp_(-1, 1)
    optimizer.step()
    with torch.no_grad():
        for p in model.parameters():
            p -= 1e-4 * p
            p = p.mul_(0.999)
    print(step, f"{loss.item():.4f} {norm_of(model).item():.4f}")
