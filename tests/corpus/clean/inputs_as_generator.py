"""Parameters are passed to autograd as the iterator that parameters() returns."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(4, 1)
for step in range(3):
    x = torch.randn(16, 4)
    loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
    grads = torch.autograd.grad(loss, model.parameters())
    with torch.no_grad():
        for p, g in zip(model.parameters(), grads):
            p -= 0.1 * g
    loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
    loss.backward(inputs=model.parameters())
    model.zero_grad()
    print(f"{loss.item():.4f}")
