"""A worker copy computes the gradients, the shared model is stepped with them."""

import copy
import torch
from torch import nn

torch.manual_seed(0)
shared = nn.Linear(4, 1)
worker = copy.deepcopy(shared)
optimizer = torch.optim.Adam(shared.parameters(), lr=0.01)
for step in range(12):
    worker.load_state_dict(shared.state_dict())
    x = torch.randn(16, 4)
    loss = (worker(x) - x.sum(1, keepdim=True)).square().mean()
    worker.zero_grad()
    loss.backward()
    for p, q in zip(shared.parameters(), worker.parameters()):
        p.grad = q.grad
    optimizer.step()
print(f"{loss.item():.4f}")
